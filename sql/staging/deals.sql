-- Consultations as HubSpot has them, after cleaning; the close date in the pipeline's time zone.
SELECT
    id AS deal_id,
    dealname AS name,
    pipeline,
    dealstage AS stage,
    CAST(coalesce(amount, 0) AS DECIMAL(18, 2)) AS amount,
    CAST(coalesce(valor_reembolsado, 0) AS DECIMAL(18, 2)) AS refund,
    coalesce(deal_currency_code, (SELECT value FROM _host.variables WHERE name = 'currency')) AS currency,
    closedate AS closed_at,
    CAST(timezone((SELECT value FROM _host.variables WHERE name = 'timezone'), closedate) AS DATE) AS closed_on,
    created_at
FROM clean_hubspot.deals
WHERE NOT coalesce(archived, false)
