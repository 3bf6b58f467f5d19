-- One row per doctor with today's specialty, plus the doctor `-1` for deals without a company.
SELECT company_id AS doctor_id, name, specialty, city, created_at FROM staging.companies
UNION ALL
SELECT '-1', 'Unknown', 'Unknown', NULL, NULL
