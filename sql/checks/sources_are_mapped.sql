-- One row per analytics source that the seed `channel_map` does not map, with its number of patients.
SELECT source, count(*) AS patients FROM staging.contacts
WHERE source IS NOT NULL AND source NOT IN (SELECT source FROM staging.channel_map)
GROUP BY source
