-- One row per line of the spend file, with the cost in the home currency at the rate of its month. A line is paid spend
-- if it is media on a paid channel.
WITH with_rate AS (
    SELECT spend.*, CASE WHEN spend.currency = home.value THEN 1 ELSE fx.rate END AS rate
    FROM staging.spend AS spend
    CROSS JOIN (SELECT value FROM _host.variables WHERE name = 'currency') AS home
    LEFT JOIN staging.fx AS fx ON fx.month = spend.month AND fx.currency = spend.currency
)
SELECT
    with_rate.spend_id,
    with_rate.month,
    with_rate.channel,
    with_rate.campaign,
    with_rate.cost_type,
    with_rate.currency,
    with_rate.rate,
    CAST(with_rate.amount * with_rate.rate AS DECIMAL(18, 2)) AS amount_home,
    with_rate.cost_type = 'media' AND coalesce(channels.is_paid, false) AS is_paid
FROM with_rate
LEFT JOIN core.dim_channel AS channels ON channels.channel = with_rate.channel
