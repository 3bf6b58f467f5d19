-- One row per won or refunded deal without a margin: no gross margin applies to its specialty on the close date. Deals
-- without an exchange rate are in `currencies_have_rates`.
SELECT deal_id, specialty, closed_on FROM core.fct_consultation
WHERE status IN ('won', 'refunded') AND margin IS NULL AND rate IS NOT NULL AND closed_on IS NOT NULL
