-- Marketing spend by month, channel, campaign and cost type; empty where the pipeline has no spend file.
SELECT
    CAST(date_trunc('month', month) AS DATE) AS month,
    coalesce(nullif(lower(trim(channel)), ''), 'unallocated') AS channel,
    coalesce(nullif(trim(campaign), ''), 'none') AS campaign,
    coalesce(nullif(lower(trim(cost_type)), ''), 'other') AS cost_type,
    CAST(amount AS DECIMAL(18, 2)) AS amount,
    coalesce(
        nullif(upper(trim(currency)), ''), (SELECT value FROM _host.variables WHERE name = 'currency')
    ) AS currency
FROM clean_marketing.spend
