-- One row per patient: the merged contacts, the acquisition channel, and the first won consultation, whose month is the
-- patient's cohort. Patients without a won consultation have no cohort.
WITH merged AS (
    SELECT survivor_id AS patient_id, list(record_id ORDER BY record_id) AS merged_ids
    FROM core.crosswalk WHERE stream = 'hubspot.contacts' AND survivor_id <> record_id GROUP BY survivor_id
),
channels AS (
    SELECT contacts.contact_id, channel_map.channel, channel_map.is_paid
    FROM staging.contacts AS contacts
    JOIN staging.channel_map AS channel_map
        ON channel_map.source = contacts.source
        AND (channel_map.data_1 IS NULL OR channel_map.data_1 = contacts.source_data_1)
    -- A row for the contact's drill-down takes precedence over the row for the whole source.
    QUALIFY row_number() OVER (PARTITION BY contacts.contact_id ORDER BY channel_map.data_1 NULLS LAST) = 1
),
first_consultations AS (
    SELECT patient_id, closed_at AS first_won_at, closed_month AS cohort_month, specialty AS first_specialty
    FROM core.fct_consultation WHERE is_first
)
SELECT
    contacts.contact_id AS patient_id,
    contacts.contact_id AS survivor_id,
    coalesce(merged.merged_ids, []) AS merged_ids,
    contacts.created_at,
    coalesce(channels.channel, 'Unknown') AS channel,
    coalesce(channels.is_paid, false) AS is_paid,
    first_consultations.first_won_at,
    first_consultations.cohort_month,
    first_consultations.first_specialty,
    coalesce(first_consultations.first_won_at < contacts.created_at, false) AS is_won_before_created
FROM staging.contacts AS contacts
LEFT JOIN merged ON merged.patient_id = contacts.contact_id
LEFT JOIN channels ON channels.contact_id = contacts.contact_id
LEFT JOIN first_consultations ON first_consultations.patient_id = contacts.contact_id
