-- One row per month with consultations or spend, unfinished months included.
-- revenue = amount - refund of won and refunded consultations; repeat_rate = returning patients / patients of the
-- month; cac_blended = spend / new patients of the same month.
WITH consultations AS (
    SELECT
        closed_month AS month,
        sum(amount_home - refund_home) AS revenue,
        sum(margin) AS margin,
        count(*) FILTER (WHERE status = 'won') AS consultations,
        count(DISTINCT patient_id) FILTER (WHERE status = 'won') AS patients,
        count(DISTINCT patient_id) FILTER (WHERE is_first) AS new_patients
    FROM core.fct_consultation
    WHERE status IN ('won', 'refunded') AND closed_month IS NOT NULL
    GROUP BY ALL
),
spend AS (
    SELECT month, sum(amount_home) AS spend FROM core.fct_spend GROUP BY month
)
SELECT
    month,
    coalesce(revenue, 0) AS revenue,
    coalesce(margin, 0) AS margin,
    spend,
    coalesce(consultations, 0) AS consultations,
    coalesce(new_patients, 0) AS new_patients,
    (patients - new_patients) / nullif(patients, 0) AS repeat_rate,
    CAST(spend / nullif(new_patients, 0) AS DECIMAL(18, 4)) AS cac_blended
FROM consultations
FULL JOIN spend USING (month)
ORDER BY month
