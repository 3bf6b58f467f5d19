-- One row per month and currency without an exchange rate, for won and refunded deals and for spend.
SELECT DISTINCT closed_month AS month, currency FROM core.fct_consultation
WHERE rate IS NULL AND status IN ('won', 'refunded') AND closed_month IS NOT NULL
UNION
SELECT DISTINCT month, currency FROM core.fct_spend WHERE rate IS NULL
