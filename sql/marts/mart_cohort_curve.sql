-- One row per cohort month, channel, specialty and age. Age counts calendar months from the cohort month, which is age
-- 0; consultations before it count at age 0. Ages run up to the month of the last closed consultation.
-- retention = active / size; cum_margin = sum of margin up to the age; ltv = cum_margin / size.
WITH cohorts AS (
    SELECT cohort_month, channel, first_specialty AS specialty, count(*) AS size
    FROM core.dim_patient WHERE cohort_month IS NOT NULL GROUP BY ALL
),
ages AS (
    SELECT
        cohorts.*,
        unnest(range(0, datediff('month', cohort_month, date_trunc('month', settings.last_closed_on)) + 1)) AS age,
        settings.last_complete_month
    FROM cohorts CROSS JOIN core.settings AS settings
),
activity AS (
    SELECT
        patients.cohort_month,
        patients.channel,
        patients.first_specialty AS specialty,
        greatest(datediff('month', patients.cohort_month, consultations.closed_month), 0) AS age,
        count(DISTINCT CASE WHEN consultations.status = 'won' THEN patients.patient_id END) AS active,
        sum(consultations.margin) AS margin
    FROM core.fct_consultation AS consultations
    JOIN core.dim_patient AS patients ON patients.patient_id = consultations.patient_id
    WHERE patients.cohort_month IS NOT NULL
        AND consultations.status IN ('won', 'refunded')
        AND consultations.closed_month IS NOT NULL
    GROUP BY ALL
)
SELECT
    ages.cohort_month,
    ages.channel,
    ages.specialty,
    ages.age,
    ages.size,
    coalesce(activity.active, 0) AS active,
    coalesce(activity.active, 0) / ages.size AS retention,
    coalesce(activity.margin, 0) AS margin,
    sum(coalesce(activity.margin, 0)) OVER curve AS cum_margin,
    CAST(sum(coalesce(activity.margin, 0)) OVER curve / ages.size AS DECIMAL(18, 4)) AS ltv,
    ages.cohort_month + to_months(CAST(ages.age AS INTEGER)) <= ages.last_complete_month AS is_complete
FROM ages
LEFT JOIN activity USING (cohort_month, channel, specialty, age)
WINDOW curve AS (PARTITION BY ages.cohort_month, ages.channel, ages.specialty ORDER BY ages.age)
