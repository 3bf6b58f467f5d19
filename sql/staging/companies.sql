SELECT
    id AS company_id,
    name,
    coalesce(nullif(trim(especialidade_medica), ''), 'Unknown') AS specialty,
    city,
    created_at,
    updated_at
FROM clean_hubspot.companies
WHERE NOT coalesce(archived, false)
    -- HubSpot no longer has what was merged; until the next sweep raw still does.
    AND id NOT IN (SELECT loser_id FROM staging.merged_records WHERE object = 'companies')
