-- What one unit of a currency is worth in the home currency, by month; a month is written as such or as one of its days.
SELECT
    CAST(date_trunc('month', CAST(CASE WHEN length(month) = 7 THEN month || '-01' ELSE month END AS DATE)) AS DATE) AS month,
    currency,
    CAST(rate AS DECIMAL(18, 10)) AS rate
FROM seeds.fx
