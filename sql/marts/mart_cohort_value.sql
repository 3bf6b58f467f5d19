-- One row per cohort month, channel, specialty and horizon: patients and their margin up to the horizon. The rows can
-- be summed for any combination of months, channels and specialties.
SELECT
    cohort_month,
    channel,
    specialty,
    horizon,
    is_covered,
    count(*) AS new_patients,
    count(*) FILTER (WHERE is_paid) AS new_patients_paid,
    sum(margin) AS margin
FROM core.slice_patient
WHERE slice_type = 'cohort'
GROUP BY ALL
