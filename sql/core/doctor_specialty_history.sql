SELECT company_id AS doctor_id, specialty, updated_at FROM staging.companies
