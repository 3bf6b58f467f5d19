-- Cohort month × channel: the smallest age in months at which cumulated margin a patient reaches CAC; NULL: not yet.
-- cac is NULL for cohorts outside the months of the spend file, 0 for channels without spend in it.
WITH curves AS (
    SELECT cohort_month, channel, age, sum(cum_margin) / sum(size) AS ltv
    FROM marts.mart_cohort_curve WHERE is_complete GROUP BY ALL
),
costs AS (
    SELECT
        cohorts.cohort_month,
        cohorts.channel,
        cohorts.size,
        CAST(CASE
            WHEN cohorts.cohort_month BETWEEN settings.first_spend_month AND settings.last_spend_month
                THEN coalesce(sum(spend.amount_home), 0) / cohorts.size
        END AS DECIMAL(18, 4)) AS cac
    FROM (
        SELECT cohort_month, channel, count(*) AS size
        FROM core.dim_patient WHERE cohort_month IS NOT NULL GROUP BY ALL
    ) AS cohorts
    LEFT JOIN core.fct_spend AS spend ON spend.month = cohorts.cohort_month AND spend.channel = cohorts.channel
    CROSS JOIN core.settings AS settings
    GROUP BY cohorts.cohort_month, cohorts.channel, cohorts.size, settings.first_spend_month, settings.last_spend_month
)
SELECT
    costs.cohort_month,
    costs.channel,
    costs.size,
    costs.cac,
    min(curves.age) FILTER (WHERE curves.ltv >= costs.cac) AS payback_months
FROM costs
LEFT JOIN curves USING (cohort_month, channel)
GROUP BY costs.cohort_month, costs.channel, costs.size, costs.cac
