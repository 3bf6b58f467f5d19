-- One row per month and currency: the exchange rate to the home currency, from the seed `fx`.
SELECT
    CAST(date_trunc('month', TRY_CAST(CASE WHEN length(month) = 7 THEN month || '-01' ELSE month END AS DATE)) AS DATE) AS month,
    upper(trim(currency)) AS currency,
    CAST(rate AS DECIMAL(18, 10)) AS rate
FROM seeds.fx
