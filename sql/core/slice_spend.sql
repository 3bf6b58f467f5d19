-- One row per slice, horizon and line of the spend file, for months whose cohort is complete at the horizon.
WITH spend_by_horizon AS (
    SELECT unnest([3, 6, 12, 24]) AS horizon, spend.* FROM core.fct_spend AS spend
)
SELECT slices.slice_type, slices.slice, spend_by_horizon.*
FROM spend_by_horizon
CROSS JOIN core.settings AS settings
CROSS JOIN LATERAL (
    SELECT unnest(['overall', 'cohort', 'channel']) AS slice_type,
        unnest(['all', strftime(spend_by_horizon.month, '%Y-%m'), spend_by_horizon.channel]) AS slice
) AS slices
WHERE spend_by_horizon.month + to_months(CAST(spend_by_horizon.horizon - 1 AS INTEGER)) <= settings.last_complete_month
