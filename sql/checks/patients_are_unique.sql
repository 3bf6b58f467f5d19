-- One row a patient.
SELECT patient_id FROM core.dim_patient GROUP BY patient_id HAVING count(*) > 1
