-- One row per doctor: a company from HubSpot after cleaning. Archived and merged companies are left out.
SELECT
    id AS company_id,
    name,
    coalesce(nullif(trim(especialidade_medica), ''), 'Unknown') AS specialty,
    city,
    created_at,
    updated_at
FROM clean_hubspot.companies
WHERE NOT coalesce(archived, false)
    -- Raw keeps a merged record until the next sweep, although HubSpot no longer has it.
    AND id NOT IN (SELECT loser_id FROM staging.merged_records WHERE object = 'companies')
