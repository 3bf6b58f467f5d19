-- Slice × horizon in months: LTV at that age of the cohorts that are complete at it, CAC of the same cohorts.
-- ltv = margin of the first `horizon` calendar months a patient; cac_blended = all spend / new patients;
-- cac_paid = paid spend / new patients of paid channels; ratio = ltv / cac_blended of the slice.
-- Where there is a spend file, slices over several cohorts hold those of its months alone: older patients' cost is
-- not known. ratio_status says why a ratio is missing: no_spend, organic, no_customers, low_n.
-- CAC by specialty is allocated: spend knows no specialty, so each patient bears the same share.
WITH horizons AS (
    SELECT unnest([3, 6, 12, 24]) AS horizon
),
patients AS (
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
    SELECT patients.horizon, patients.patient_id, sum(consultations.margin) AS margin
    FROM patients
    JOIN core.fct_consultation AS consultations
        ON consultations.patient_id = patients.patient_id
        AND datediff('month', patients.cohort_month, consultations.closed_month) < patients.horizon
    GROUP BY ALL
),
sliced AS (
    SELECT patients.*, coalesce(margins.margin, 0) AS margin, slices.slice_type, slices.slice
    FROM patients
    LEFT JOIN margins USING (horizon, patient_id)
    CROSS JOIN LATERAL (
        SELECT unnest(['overall', 'cohort', 'channel', 'specialty']) AS slice_type,
            unnest(['all', strftime(patients.cohort_month, '%Y-%m'), patients.channel, patients.specialty]) AS slice
    ) AS slices
    WHERE patients.is_covered OR slices.slice_type = 'cohort'
),
value AS (
    SELECT
        slice_type, slice, horizon,
        count(*) AS new_patients,
        count(*) FILTER (WHERE is_paid) AS new_patients_paid,
        bool_and(is_covered) AS is_covered,
        sum(margin) AS margin
    FROM sliced GROUP BY ALL
),
spend AS (
    SELECT horizons.horizon, spend.*
    FROM core.fct_spend AS spend
    CROSS JOIN horizons
    CROSS JOIN core.settings AS settings
    WHERE spend.month + to_months(CAST(horizons.horizon - 1 AS INTEGER)) <= settings.last_complete_month
),
spend_sliced AS (
    SELECT 'overall' AS slice_type, 'all' AS slice, horizon, amount_home, is_paid FROM spend
    UNION ALL SELECT 'cohort', strftime(month, '%Y-%m'), horizon, amount_home, is_paid FROM spend
    UNION ALL SELECT 'channel', channel, horizon, amount_home, is_paid FROM spend
),
cost AS (
    SELECT
        slice_type, slice, horizon,
        CAST(sum(amount_home) AS DECIMAL(28, 4)) AS spend_loaded,
        CAST(coalesce(sum(amount_home) FILTER (WHERE is_paid), 0) AS DECIMAL(28, 4)) AS spend_paid
    FROM spend_sliced GROUP BY ALL
    UNION ALL
    SELECT
        'specialty', value.slice, value.horizon,
        CAST(overall.spend_loaded * value.new_patients / overall.new_patients AS DECIMAL(28, 4)),
        CAST(overall.spend_paid * coalesce(value.new_patients_paid / nullif(overall.new_patients_paid, 0), 0) AS DECIMAL(28, 4))
    FROM value
    JOIN (
        SELECT
            patients.horizon, patients.new_patients, patients.new_patients_paid,
            sum(spend.amount_home) AS spend_loaded,
            coalesce(sum(spend.amount_home) FILTER (WHERE spend.is_paid), 0) AS spend_paid
        FROM value AS patients
        JOIN spend ON spend.horizon = patients.horizon
        WHERE patients.slice_type = 'overall'
        GROUP BY ALL
    ) AS overall USING (horizon)
    WHERE value.slice_type = 'specialty'
),
joined AS (
    SELECT
        slice_type, slice, horizon,
        coalesce(value.new_patients, 0) AS new_patients,
        coalesce(value.new_patients_paid, 0) AS new_patients_paid,
        settings.has_spend AND coalesce(value.is_covered, true) AS has_spend,
        CASE WHEN settings.has_spend AND coalesce(value.is_covered, true) THEN coalesce(cost.spend_paid, 0) END AS spend_paid,
        CASE WHEN settings.has_spend AND coalesce(value.is_covered, true) THEN coalesce(cost.spend_loaded, 0) END AS spend_loaded,
        CAST(value.margin / value.new_patients AS DECIMAL(18, 4)) AS ltv,
        settings.low_n
    FROM value
    FULL JOIN cost USING (slice_type, slice, horizon)
    CROSS JOIN core.settings AS settings
),
judged AS (
    SELECT
        *,
        CAST(spend_loaded / nullif(new_patients, 0) AS DECIMAL(18, 4)) AS cac_blended,
        CAST(spend_paid / nullif(new_patients_paid, 0) AS DECIMAL(18, 4)) AS cac_paid,
        CASE
            WHEN NOT has_spend THEN 'no_spend'
            WHEN new_patients = 0 THEN 'no_customers'
            WHEN spend_loaded = 0 THEN 'organic'
            WHEN new_patients < low_n THEN 'low_n'
            ELSE 'ok'
        END AS ratio_status
    FROM joined
)
SELECT
    slice_type,
    slice,
    horizon,
    new_patients,
    new_patients_paid,
    spend_paid,
    spend_loaded,
    cac_paid,
    cac_blended,
    CASE WHEN slice_type = 'specialty' THEN 'allocated' ELSE 'direct' END AS cac_basis,
    ltv,
    CASE WHEN ratio_status = 'ok' THEN ltv / nullif(cac_blended, 0) END AS ratio,
    new_patients AS n,
    ratio_status
FROM judged
