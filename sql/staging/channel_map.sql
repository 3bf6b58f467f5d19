-- Which channel a patient came by: HubSpot's analytics source, and its drill-down where one is named.
SELECT source, data_1, channel, CAST(is_paid AS BOOLEAN) AS is_paid FROM seeds.channel_map
