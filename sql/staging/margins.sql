-- One row per specialty and start date: the gross margin from the seed `margin`. A margin applies from `valid_from`
-- until the day before `valid_to`, which is the start of the specialty's next row.
SELECT
    specialty,
    CAST(gross_margin_pct AS DECIMAL(6, 4)) AS gross_margin_pct,
    CAST(valid_from AS DATE) AS valid_from,
    lead(CAST(valid_from AS DATE), 1, DATE '9999-12-31') OVER (
        PARTITION BY specialty ORDER BY CAST(valid_from AS DATE)
    ) AS valid_to
FROM seeds.margin
