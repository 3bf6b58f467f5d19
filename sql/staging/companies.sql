-- Doctors as HubSpot has them, after cleaning.
SELECT
    id AS company_id,
    name,
    coalesce(nullif(trim(especialidade_medica), ''), 'Unknown') AS specialty,
    city,
    created_at
FROM clean_hubspot.companies
WHERE NOT coalesce(archived, false)
