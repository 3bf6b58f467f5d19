-- One row per acquisition channel that the seed `channel_map` or the spend file names, plus `Unknown`.
SELECT
    CASE WHEN channel = 'Unknown' THEN -1 ELSE row_number() OVER (ORDER BY channel) END AS channel_key,
    channel,
    bool_or(is_paid) AS is_paid
FROM (
    SELECT channel, is_paid FROM staging.channel_map
    UNION ALL SELECT channel, false FROM staging.spend
    UNION ALL SELECT 'Unknown', false
)
GROUP BY channel
