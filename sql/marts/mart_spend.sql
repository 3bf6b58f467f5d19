-- One row per month and channel: all spend and paid media spend. months_complete counts the months from this one to the
-- last complete one: the month's cohort is complete at every horizon up to that number.
SELECT
    spend.month,
    spend.channel,
    coalesce(datediff('month', spend.month, any_value(settings.last_complete_month)) + 1, 0) AS months_complete,
    coalesce(sum(spend.amount_home) FILTER (WHERE spend.is_paid), 0) AS spend_paid,
    sum(spend.amount_home) AS spend_loaded
FROM core.fct_spend AS spend
CROSS JOIN core.settings AS settings
GROUP BY spend.month, spend.channel
