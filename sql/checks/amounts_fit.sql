-- One row per deal whose amount or refund exceeds 16 digits before the decimal point.
SELECT id AS deal_id, amount, valor_reembolsado FROM clean_hubspot.deals
WHERE abs(amount) > 9999999999999999.99 OR abs(valor_reembolsado) > 9999999999999999.99
