-- One row per day, from 1 January of the year of the first consultation or spend to 31 December of the year of the
-- last, plus one row without a date (`date_key` -1) for deals without a close date.
SELECT
    CAST(year(day) * 10000 + month(day) * 100 + day(day) AS INTEGER) AS date_key,
    CAST(day AS DATE) AS date,
    CAST(date_trunc('month', day) AS DATE) AS month,
    year(day) AS year,
    quarter(day) AS quarter,
    isodow(day) AS weekday
FROM (
    SELECT unnest(generate_series(
        date_trunc('year', first_day), date_trunc('year', last_day) + INTERVAL 1 YEAR - INTERVAL 1 DAY, INTERVAL 1 DAY
    )) AS day
    FROM (
        SELECT min(day) AS first_day, max(day) AS last_day
        FROM (SELECT closed_on AS day FROM staging.deals UNION ALL SELECT month FROM staging.spend)
    )
)
UNION ALL
SELECT -1, NULL, NULL, NULL, NULL, NULL
