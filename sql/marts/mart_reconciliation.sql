-- One row per run and entity: records and amounts as loaded, after cleaning, merged and rejected.
-- raw = clean + merged + rejected, in records and in amounts. Contacts and companies have no amount.
WITH records AS (
    SELECT 'contacts' AS entity, 'raw' AS outcome, id AS key, CAST(0 AS DECIMAL(38, 9)) AS amount
    FROM raw_hubspot.contacts
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
removed AS (
    SELECT DISTINCT string_split(stream, '.')[2] AS entity, key, outcome
    FROM (
        SELECT stream, key, 'merged' AS outcome FROM _host.merges
        UNION ALL SELECT stream, key, 'rejected' FROM _host.rejects
    )
    WHERE stream IN ('hubspot.contacts', 'hubspot.companies', 'hubspot.deals', 'marketing.spend')
),
outcomes AS (
    SELECT entity, outcome, amount FROM records
    UNION ALL
    SELECT removed.entity, removed.outcome, coalesce(records.amount, 0)
    FROM removed
    LEFT JOIN records ON records.outcome = 'raw' AND records.entity = removed.entity AND records.key = removed.key
)
SELECT
    (SELECT max(load_id) FROM _host.runs) AS load_id,
    entity,
    count(*) FILTER (WHERE outcome = 'raw') AS rows_raw,
    count(*) FILTER (WHERE outcome = 'clean') AS rows_clean,
    count(*) FILTER (WHERE outcome = 'merged') AS rows_merged,
    count(*) FILTER (WHERE outcome = 'rejected') AS rows_rejected,
    coalesce(sum(amount) FILTER (WHERE outcome = 'raw'), 0) AS amount_raw,
    coalesce(sum(amount) FILTER (WHERE outcome = 'clean'), 0) AS amount_clean,
    coalesce(sum(amount) FILTER (WHERE outcome = 'merged'), 0) AS amount_merged,
    coalesce(sum(amount) FILTER (WHERE outcome = 'rejected'), 0) AS amount_rejected
FROM outcomes
GROUP BY entity
