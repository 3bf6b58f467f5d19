-- One row per slice and horizon, over the cohorts that are complete at the horizon.
-- ltv = margin / new patients; cac_blended = all spend of the same months / new patients; cac_paid = media spend of
-- paid channels / new patients of paid channels; ratio = ltv / cac_blended if the status is ok.
WITH value AS (
    SELECT
        slice_type, slice, horizon,
        count(*) AS new_patients,
        count(*) FILTER (WHERE is_paid) AS new_patients_paid,
        bool_and(is_covered) AS is_covered,
        sum(margin) AS margin
    FROM core.slice_patient
    GROUP BY ALL
),
direct_spend AS (
    SELECT
        slice_type, slice, horizon,
        sum(amount_home) AS spend_loaded,
        coalesce(sum(amount_home) FILTER (WHERE is_paid), 0) AS spend_paid
    FROM core.slice_spend
    GROUP BY ALL
),
spend AS (
    SELECT
        slice_type, slice, horizon,
        CAST(spend_loaded AS DECIMAL(28, 4)) AS spend_loaded,
        CAST(spend_paid AS DECIMAL(28, 4)) AS spend_paid
    FROM direct_spend
    UNION ALL
    -- The spend file has no specialty: the overall spend is shared equally among all patients.
    SELECT
        'specialty', value.slice, value.horizon,
        CAST(direct_spend.spend_loaded * value.new_patients / overall.new_patients AS DECIMAL(28, 4)),
        CAST(
            coalesce(direct_spend.spend_paid * value.new_patients_paid / nullif(overall.new_patients_paid, 0), 0)
            AS DECIMAL(28, 4)
        )
    FROM value
    JOIN value AS overall ON overall.slice_type = 'overall' AND overall.horizon = value.horizon
    JOIN direct_spend ON direct_spend.slice_type = 'overall' AND direct_spend.horizon = value.horizon
    WHERE value.slice_type = 'specialty'
),
joined AS (
    SELECT
        slice_type, slice, horizon,
        coalesce(value.new_patients, 0) AS new_patients,
        coalesce(value.new_patients_paid, 0) AS new_patients_paid,
        settings.has_spend AND coalesce(value.is_covered, true) AS has_spend,
        coalesce(spend.spend_paid, 0) AS spend_paid,
        coalesce(spend.spend_loaded, 0) AS spend_loaded,
        coalesce(value.margin, 0) AS margin,
        settings.low_n
    FROM value
    FULL JOIN spend USING (slice_type, slice, horizon)
    CROSS JOIN core.settings AS settings
),
with_status AS (
    SELECT
        *,
        CAST(margin / nullif(new_patients, 0) AS DECIMAL(18, 4)) AS ltv,
        CASE WHEN has_spend THEN CAST(spend_loaded / nullif(new_patients, 0) AS DECIMAL(18, 4)) END AS cac_blended,
        CASE WHEN has_spend THEN CAST(spend_paid / nullif(new_patients_paid, 0) AS DECIMAL(18, 4)) END AS cac_paid,
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
    margin,
    CASE WHEN has_spend THEN spend_paid END AS spend_paid,
    CASE WHEN has_spend THEN spend_loaded END AS spend_loaded,
    cac_paid,
    cac_blended,
    CASE WHEN slice_type = 'specialty' THEN 'allocated' ELSE 'direct' END AS cac_basis,
    ltv,
    CASE WHEN ratio_status = 'ok' THEN CAST(ltv / nullif(cac_blended, 0) AS DECIMAL(18, 4)) END AS ratio,
    new_patients AS n,
    ratio_status
FROM with_status
