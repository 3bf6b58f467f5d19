-- One row per record without exactly one row in `core.crosswalk`, and one row per record whose survivor was itself
-- merged or rejected.
SELECT ids.stream, ids.id AS record_id, count(crosswalk.record_id) AS rows, min(crosswalk.survivor_id) AS survivor_id
FROM (
    SELECT 'hubspot.contacts' AS stream, id FROM raw_hubspot.contacts
    UNION SELECT 'hubspot.companies', id FROM raw_hubspot.companies
    UNION SELECT 'hubspot.deals', id FROM raw_hubspot.deals
    UNION SELECT stream, record_id FROM core.crosswalk
    UNION SELECT stream, survivor_id FROM core.crosswalk WHERE survivor_id IS NOT NULL
) AS ids
LEFT JOIN core.crosswalk AS crosswalk ON crosswalk.stream = ids.stream AND crosswalk.record_id = ids.id
GROUP BY ids.stream, ids.id
HAVING count(crosswalk.record_id) <> 1
UNION ALL
SELECT merged.stream, merged.record_id, 1, merged.survivor_id
FROM core.crosswalk AS merged
JOIN core.crosswalk AS survivors ON survivors.stream = merged.stream AND survivors.record_id = merged.survivor_id
WHERE survivors.survivor_id IS DISTINCT FROM survivors.record_id
