SELECT source, data_1, channel, CAST(is_paid AS BOOLEAN) AS is_paid FROM seeds.channel_map
