-- One row a day, from the first consultation or spend to the end of the last one's year.
SELECT
    CAST(day AS DATE) AS date,
    CAST(date_trunc('month', day) AS DATE) AS month,
    year(day) AS year,
    quarter(day) AS quarter,
    isodow(day) AS weekday
FROM (
    SELECT unnest(generate_series(date_trunc('year', first_day), date_trunc('year', last_day) + INTERVAL 1 YEAR - INTERVAL 1 DAY, INTERVAL 1 DAY)) AS day
    FROM (
        SELECT min(day) AS first_day, max(day) AS last_day
        FROM (SELECT closed_on AS day FROM core.fct_consultation UNION ALL SELECT month FROM core.fct_spend)
    )
)
