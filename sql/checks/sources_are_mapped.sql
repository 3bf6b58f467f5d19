SELECT source, count(*) AS patients FROM staging.contacts
WHERE source IS NOT NULL AND source NOT IN (SELECT source FROM staging.channel_map)
GROUP BY source
