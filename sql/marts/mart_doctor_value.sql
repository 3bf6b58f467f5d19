-- The patients and the margin of mart_cohort_value, by the doctor of the first won consultation.
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
JOIN core.fct_consultation AS firsts ON firsts.patient_id = slices.patient_id AND firsts.is_first
JOIN core.dim_doctor AS doctors ON doctors.doctor_id = firsts.doctor_id
WHERE slices.slice_type = 'cohort'
GROUP BY ALL
