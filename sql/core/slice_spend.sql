WITH complete AS (
    SELECT unnest([3, 6, 12, 24]) AS horizon, spend.* FROM core.fct_spend AS spend
)
SELECT slices.slice_type, slices.slice, complete.*
FROM complete
CROSS JOIN core.settings AS settings
CROSS JOIN LATERAL (
    SELECT unnest(['overall', 'cohort', 'channel']) AS slice_type,
        unnest(['all', strftime(complete.month, '%Y-%m'), complete.channel]) AS slice
) AS slices
WHERE complete.month + to_months(CAST(complete.horizon - 1 AS INTEGER)) <= settings.last_complete_month
