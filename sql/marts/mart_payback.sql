-- One row per cohort month and channel. cac = spend on the channel in the cohort month / patients; payback_months =
-- first complete age at which the cohort's cumulative margin reaches that spend, NULL if it has not yet.
WITH cohorts AS (
    SELECT cohort_month, channel, count(*) AS size
    FROM core.dim_patient
    WHERE cohort_month IS NOT NULL
    GROUP BY ALL
),
costs AS (
    SELECT
        cohorts.*,
        CASE
            WHEN cohorts.cohort_month BETWEEN settings.first_spend_month AND settings.last_spend_month
                THEN coalesce(spend.amount_home, 0)
        END AS spend
    FROM cohorts
    CROSS JOIN core.settings AS settings
    LEFT JOIN (SELECT month, channel, sum(amount_home) AS amount_home FROM core.fct_spend GROUP BY ALL) AS spend
        ON spend.month = cohorts.cohort_month AND spend.channel = cohorts.channel
),
curves AS (
    SELECT cohort_month, channel, age, sum(cum_margin) AS cum_margin
    FROM marts.mart_cohort_curve
    WHERE is_complete
    GROUP BY ALL
)
SELECT
    costs.cohort_month,
    costs.channel,
    costs.size,
    costs.spend,
    CAST(costs.spend / costs.size AS DECIMAL(18, 4)) AS cac,
    max_by(curves.cum_margin, curves.age) AS margin,
    -- Totals are compared instead of averages per patient: the same comparison without rounding.
    min(curves.age) FILTER (WHERE curves.cum_margin >= costs.spend) AS payback_months
FROM costs
LEFT JOIN curves USING (cohort_month, channel)
GROUP BY costs.cohort_month, costs.channel, costs.size, costs.spend
