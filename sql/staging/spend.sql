-- One row per line of the spend file: month, channel, campaign and cost type, with the cost in the line's own currency.
-- Empty if the pipeline has no spend file.
SELECT
    -- The host writes a key of several columns as a JSON array. The same form here links a line to the changes that
    -- rules made to it.
    CAST(to_json([CAST(month AS VARCHAR), channel, campaign, cost_type]) AS VARCHAR) AS spend_id,
    CAST(date_trunc('month', month) AS DATE) AS month,
    coalesce(nullif(lower(trim(channel)), ''), 'unallocated') AS channel,
    coalesce(nullif(trim(campaign), ''), 'none') AS campaign,
    coalesce(nullif(lower(trim(cost_type)), ''), 'other') AS cost_type,
    TRY_CAST(amount AS DECIMAL(18, 2)) AS amount,
    coalesce(
        nullif(upper(trim(currency)), ''), (SELECT value FROM _host.variables WHERE name = 'currency')
    ) AS currency
FROM clean_marketing.spend
