WITH records AS (
    SELECT 'contacts' AS entity, 'raw' AS fate, id AS key, CAST(0 AS DECIMAL(38, 9)) AS amount FROM raw_hubspot.contacts
    UNION ALL SELECT 'contacts', 'clean', id, 0 FROM clean_hubspot.contacts
    UNION ALL SELECT 'companies', 'raw', id, 0 FROM raw_hubspot.companies
    UNION ALL SELECT 'companies', 'clean', id, 0 FROM clean_hubspot.companies
    UNION ALL SELECT 'deals', 'raw', id, coalesce(amount, 0) FROM raw_hubspot.deals
    UNION ALL SELECT 'deals', 'clean', id, coalesce(amount, 0) FROM clean_hubspot.deals
    UNION ALL
    SELECT 'spend', 'raw', CAST(to_json([CAST(month AS VARCHAR), channel, campaign, cost_type]) AS VARCHAR), coalesce(amount, 0)
    FROM raw_marketing.spend
    UNION ALL SELECT 'spend', 'clean', NULL, coalesce(amount, 0) FROM clean_marketing.spend
),
journal AS (
    SELECT DISTINCT string_split(stream, '.')[2] AS entity, key, fate
    FROM (SELECT stream, key, 'merged' AS fate FROM _host.merges UNION ALL SELECT stream, key, 'rejected' FROM _host.rejects)
    WHERE stream IN ('hubspot.contacts', 'hubspot.companies', 'hubspot.deals', 'marketing.spend')
),
fates AS (
    SELECT entity, fate, amount FROM records
    UNION ALL
    SELECT journal.entity, journal.fate, coalesce(records.amount, 0)
    FROM journal
    LEFT JOIN records ON records.fate = 'raw' AND records.entity = journal.entity AND records.key = journal.key
)
SELECT
    (SELECT max(load_id) FROM _host.runs) AS load_id,
    entity,
    count(*) FILTER (WHERE fate = 'raw') AS rows_raw,
    count(*) FILTER (WHERE fate = 'clean') AS rows_clean,
    count(*) FILTER (WHERE fate = 'merged') AS rows_merged,
    count(*) FILTER (WHERE fate = 'rejected') AS rows_rejected,
    coalesce(sum(amount) FILTER (WHERE fate = 'raw'), 0) AS amount_raw,
    coalesce(sum(amount) FILTER (WHERE fate = 'clean'), 0) AS amount_clean,
    coalesce(sum(amount) FILTER (WHERE fate = 'merged'), 0) AS amount_merged,
    coalesce(sum(amount) FILTER (WHERE fate = 'rejected'), 0) AS amount_rejected
FROM fates
GROUP BY entity
