-- One row per slice, horizon and patient, for patients whose cohort is complete at the horizon. A cohort is complete if
-- its first `horizon` calendar months, the month of the first consultation included, have ended.
-- margin = sum of the margin of the patient's consultations up to the end of those months.
WITH horizons AS (
    SELECT unnest([3, 6, 12, 24]) AS horizon
),
complete AS (
    SELECT
        horizons.horizon,
        patients.patient_id,
        patients.cohort_month,
        patients.channel,
        patients.is_paid,
        patients.first_specialty AS specialty,
        NOT settings.has_spend
            OR patients.cohort_month BETWEEN settings.first_spend_month AND settings.last_spend_month AS is_covered
    FROM core.dim_patient AS patients
    CROSS JOIN horizons
    CROSS JOIN core.settings AS settings
    WHERE patients.cohort_month + to_months(CAST(horizons.horizon - 1 AS INTEGER)) <= settings.last_complete_month
),
margins AS (
    SELECT complete.horizon, complete.patient_id, sum(consultations.margin) AS margin
    FROM complete
    JOIN core.fct_consultation AS consultations
        ON consultations.patient_id = complete.patient_id
        AND datediff('month', complete.cohort_month, consultations.closed_month) < complete.horizon
    GROUP BY ALL
)
SELECT
    slices.slice_type,
    slices.slice,
    complete.horizon,
    complete.patient_id,
    complete.cohort_month,
    complete.channel,
    complete.is_paid,
    complete.specialty,
    complete.is_covered,
    coalesce(margins.margin, 0) AS margin
FROM complete
LEFT JOIN margins USING (horizon, patient_id)
CROSS JOIN LATERAL (
    SELECT unnest(['overall', 'cohort', 'channel', 'specialty']) AS slice_type,
        unnest(['all', strftime(complete.cohort_month, '%Y-%m'), complete.channel, complete.specialty]) AS slice
) AS slices
-- The acquisition cost of patients from outside the months of the spend file is unknown: they appear only in the slice
-- of their own cohort.
WHERE complete.is_covered OR slices.slice_type = 'cohort'
