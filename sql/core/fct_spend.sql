WITH rated AS (
    SELECT spend.*, CASE WHEN spend.currency = home.value THEN 1 ELSE fx.rate END AS rate
    FROM staging.spend AS spend
    CROSS JOIN (SELECT value FROM _host.variables WHERE name = 'currency') AS home
    LEFT JOIN staging.fx AS fx ON fx.month = spend.month AND fx.currency = spend.currency
)
SELECT
    rated.spend_id,
    rated.month,
    rated.channel,
    rated.campaign,
    rated.cost_type,
    rated.currency,
    rated.rate,
    CAST(rated.amount * rated.rate AS DECIMAL(18, 2)) AS amount_home,
    rated.cost_type = 'media' AND coalesce(channels.is_paid, false) AS is_paid
FROM rated
LEFT JOIN core.dim_channel AS channels ON channels.channel = rated.channel
