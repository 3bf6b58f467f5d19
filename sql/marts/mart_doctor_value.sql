-- One row per cohort month, channel, specialty, doctor and horizon: the patients and the margin of mart_cohort_value,
-- split by the doctor of each patient's first won consultation. Later consultations with other doctors count too.
SELECT
    slices.cohort_month,
    slices.channel,
    slices.specialty,
    doctors.doctor_id,
    doctors.name AS doctor,
    slices.horizon,
    slices.is_covered,
    count(*) AS new_patients,
    count(*) FILTER (WHERE slices.is_paid) AS new_patients_paid,
    sum(slices.margin) AS margin
FROM core.slice_patient AS slices
JOIN core.fct_consultation AS first_consultations
    ON first_consultations.patient_id = slices.patient_id AND first_consultations.is_first
JOIN core.dim_doctor AS doctors ON doctors.doctor_id = first_consultations.doctor_id
WHERE slices.slice_type = 'cohort'
GROUP BY ALL
