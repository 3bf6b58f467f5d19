-- Spend in the home currency. Paid is media spend on a paid channel; all of it is loaded.
SELECT
    spend.month,
    spend.channel,
    spend.campaign,
    spend.cost_type,
    spend.currency,
    CAST(spend.amount * CASE WHEN spend.currency = home.value THEN 1 ELSE fx.rate END AS DECIMAL(18, 2)) AS amount_home,
    spend.cost_type = 'media' AND coalesce(channels.is_paid, false) AS is_paid
FROM staging.spend AS spend
CROSS JOIN (SELECT value FROM _host.variables WHERE name = 'currency') AS home
LEFT JOIN core.dim_channel AS channels ON channels.channel = spend.channel
LEFT JOIN staging.fx AS fx ON fx.month = spend.month AND fx.currency = spend.currency
