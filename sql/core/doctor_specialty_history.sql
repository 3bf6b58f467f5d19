-- One row per version of a doctor's specialty. The snapshot adds `valid_from` and `valid_to`.
SELECT company_id AS doctor_id, specialty, updated_at FROM staging.companies
