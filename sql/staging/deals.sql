-- One row per consultation: a deal from HubSpot after cleaning. Archived and merged deals are left out. Amounts are in
-- the deal's own currency; `closed_on` is the close date in the pipeline's time zone.
SELECT
    id AS deal_id,
    dealname AS name,
    pipeline,
    dealstage AS stage,
    coalesce(TRY_CAST(amount AS DECIMAL(18, 2)), 0) AS amount,
    TRY_CAST(valor_reembolsado AS DECIMAL(18, 2)) AS refund,
    coalesce(
        nullif(upper(trim(deal_currency_code)), ''), (SELECT value FROM _host.variables WHERE name = 'currency')
    ) AS currency,
    closedate AS closed_at,
    CAST(timezone((SELECT value FROM _host.variables WHERE name = 'timezone'), closedate) AS DATE) AS closed_on,
    created_at
FROM clean_hubspot.deals
WHERE NOT coalesce(archived, false)
    -- Raw keeps a merged record until the next sweep, although HubSpot no longer has it.
    AND id NOT IN (SELECT loser_id FROM staging.merged_records WHERE object = 'deals')
