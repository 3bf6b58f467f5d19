-- An amount beyond sixteen digits before the point is a typing error; it would count as nothing.
SELECT id AS deal_id, amount, valor_reembolsado FROM clean_hubspot.deals
WHERE (amount IS NOT NULL AND TRY_CAST(amount AS DECIMAL(18, 2)) IS NULL)
   OR (valor_reembolsado IS NOT NULL AND TRY_CAST(valor_reembolsado AS DECIMAL(18, 2)) IS NULL)
