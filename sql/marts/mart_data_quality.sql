-- Run × stream × rule: what the rule looked at, what it found and did. failed = records rejected or merged, or with a
-- remark; pct = failed / checked. As of the last run, in its row alone: amount_affected, the money of the deals that the
-- rule touched, or whose patient or doctor it touched; confidence_least and confidence_mean, from 0 to 1, of its repairs
-- and merges, where the rule says how sure it is.
WITH touched AS (
    SELECT stream, rule, key FROM _host.changes
    UNION SELECT stream, rule, key FROM _host.rejects
    UNION SELECT stream, rule, key FROM _host.notes
    UNION SELECT stream, rule, key FROM _host.merges
),
deals AS (
    SELECT 'hubspot.deals' AS stream, id AS key, id AS deal_id FROM raw_hubspot.deals
    UNION SELECT 'hubspot.contacts', to_id, from_id FROM raw_hubspot.deals_contacts
    UNION SELECT 'hubspot.companies', to_id, from_id FROM raw_hubspot.deals_companies
),
last_runs AS (
    SELECT stream, max(load_id) AS load_id FROM _host.rule_runs GROUP BY stream
),
amounts AS (
    SELECT affected.stream, affected.rule, last_runs.load_id, sum(raw.amount) AS amount_affected
    FROM (SELECT DISTINCT stream, rule, deal_id FROM touched JOIN deals USING (stream, key)) AS affected
    JOIN raw_hubspot.deals AS raw ON raw.id = affected.deal_id
    JOIN last_runs ON last_runs.stream = affected.stream
    GROUP BY ALL
),
confidences AS (
    SELECT known.stream, known.rule, last_runs.load_id, min(confidence) AS least, avg(confidence) AS mean
    FROM (
        SELECT stream, rule, confidence FROM _host.notes
        UNION ALL SELECT stream, rule, confidence FROM _host.merges
    ) AS known
    JOIN last_runs ON last_runs.stream = known.stream
    WHERE confidence IS NOT NULL
    GROUP BY ALL
)
SELECT
    runs.load_id,
    runs.stream,
    runs.position,
    runs.rule,
    runs.rows_checked AS checked,
    runs.rows_failed AS failed,
    runs.rows_failed / nullif(runs.rows_checked, 0) AS pct,
    runs.fields_changed AS fixed,
    runs.rows_merged AS merged,
    runs.rows_rejected AS rejected,
    runs.notes,
    amounts.amount_affected,
    confidences.least AS confidence_least,
    confidences.mean AS confidence_mean
FROM _host.rule_runs AS runs
LEFT JOIN amounts
    ON amounts.stream = runs.stream
    AND amounts.rule = runs.rule
    AND amounts.load_id = runs.load_id
LEFT JOIN confidences
    ON confidences.stream = runs.stream
    AND confidences.rule = runs.rule
    AND confidences.load_id = runs.load_id
