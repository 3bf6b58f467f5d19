-- One row per patient: a contact from HubSpot after cleaning. Archived and merged contacts are left out.
SELECT
    id AS contact_id,
    firstname AS first_name,
    lastname AS last_name,
    email,
    phone,
    hs_analytics_source AS source,
    hs_analytics_source_data_1 AS source_data_1,
    created_at
FROM clean_hubspot.contacts
WHERE NOT coalesce(archived, false)
    -- Raw keeps a merged record until the next sweep, although HubSpot no longer has it.
    AND id NOT IN (SELECT loser_id FROM staging.merged_records WHERE object = 'contacts')
