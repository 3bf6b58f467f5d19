-- One row per analytics source and drill-down: the acquisition channel that the seed `channel_map` assigns to it.
SELECT source, data_1, channel, CAST(is_paid AS BOOLEAN) AS is_paid FROM seeds.channel_map
