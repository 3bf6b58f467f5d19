-- Run × stream × rule: what the rule looked at, what it found and did. amount_affected: won and open deals' money in
-- records that it touched, for deals alone.
WITH touched AS (
    SELECT stream, rule, key FROM _host.changes
    UNION SELECT stream, rule, key FROM _host.rejects
    UNION SELECT stream, rule, key FROM _host.notes
    UNION SELECT stream, rule, key FROM _host.merges
),
amounts AS (
    SELECT touched.stream, touched.rule, sum(CAST(deals.amount AS DECIMAL(18, 2))) AS amount_affected
    FROM touched
    JOIN raw_hubspot.deals AS deals ON touched.stream = 'hubspot.deals' AND deals.id = touched.key
    GROUP BY ALL
)
SELECT
    runs.load_id,
    runs.stream,
    runs.position,
    runs.rule,
    runs.rows_checked AS checked,
    runs.rows_rejected + runs.rows_merged + runs.notes AS failed,
    (runs.rows_rejected + runs.rows_merged + runs.notes) / nullif(runs.rows_checked, 0) AS pct,
    runs.fields_changed AS fixed,
    runs.rows_merged AS merged,
    runs.rows_rejected AS rejected,
    runs.notes,
    amounts.amount_affected
FROM _host.rule_runs AS runs
LEFT JOIN amounts ON amounts.stream = runs.stream AND amounts.rule = runs.rule
