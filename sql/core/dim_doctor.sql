SELECT company_id AS doctor_id, name, specialty, city, created_at FROM staging.companies
UNION ALL
SELECT '-1', 'Unknown', 'Unknown', NULL, NULL
