-- Patients whose analytics source the seed does not have come by channel Unknown.
-- severity: warn
SELECT source, count(*) AS patients FROM staging.contacts
WHERE source IS NOT NULL AND source NOT IN (SELECT source FROM staging.channel_map)
GROUP BY source
