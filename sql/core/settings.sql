-- One row: what holds for all marts. Data is known up to the last closed consultation: its month counts as complete
-- only if that was its last day, since averaging unfinished months would be biased.
WITH known AS (
    SELECT max(closed_on) AS last_closed_on FROM core.fct_consultation WHERE status IN ('won', 'lost', 'refunded')
)
SELECT
    last_closed_on,
    CAST(CASE
        WHEN last_closed_on = last_day(last_closed_on) THEN date_trunc('month', last_closed_on)
        ELSE date_trunc('month', last_closed_on) - INTERVAL 1 MONTH
    END AS DATE) AS last_complete_month,
    coalesce((SELECT CAST(value AS INTEGER) FROM _host.variables WHERE name = 'low_n'), 5) AS low_n,
    EXISTS (SELECT 1 FROM core.fct_spend) AS has_spend
FROM known
