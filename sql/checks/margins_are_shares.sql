-- One row per specialty and start date with several gross margins, or with one outside 0 to 1.
SELECT specialty, valid_from, count(*) AS margins, min(gross_margin_pct) AS lowest, max(gross_margin_pct) AS highest
FROM staging.margins
GROUP BY specialty, valid_from
HAVING count(*) > 1 OR bool_or(gross_margin_pct IS NULL OR gross_margin_pct NOT BETWEEN 0 AND 1)
