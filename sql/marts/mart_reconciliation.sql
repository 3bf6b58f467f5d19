-- Entity: rows and money, raw = clean + merged + rejected, to the cent.
WITH journal AS (
    SELECT stream, key, 'merged' AS fate FROM _host.merges
    UNION ALL SELECT stream, key, 'rejected' FROM _host.rejects
),
records AS (
    SELECT 'contacts' AS entity, 'raw' AS fate, id, CAST(0 AS DECIMAL(38, 9)) AS amount FROM raw_hubspot.contacts
    UNION ALL SELECT 'contacts', 'clean', id, 0 FROM clean_hubspot.contacts
    UNION ALL SELECT 'companies', 'raw', id, 0 FROM raw_hubspot.companies
    UNION ALL SELECT 'companies', 'clean', id, 0 FROM clean_hubspot.companies
    UNION ALL SELECT 'deals', 'raw', id, coalesce(amount, 0) FROM raw_hubspot.deals
    UNION ALL SELECT 'deals', 'clean', id, coalesce(amount, 0) FROM clean_hubspot.deals
    UNION ALL
    SELECT replace(journal.stream, 'hubspot.', ''), journal.fate, journal.key, coalesce(deals.amount, 0)
    FROM journal
    LEFT JOIN raw_hubspot.deals AS deals ON journal.stream = 'hubspot.deals' AND deals.id = journal.key
    WHERE journal.stream IN ('hubspot.contacts', 'hubspot.companies', 'hubspot.deals')
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
FROM records
GROUP BY entity
