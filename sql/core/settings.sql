-- One row: the dates and limits that all marts share.
-- loaded_on is the day of the last load of deals, whether or not a deal changed.
-- last_closed_on is the last close date up to that day: a close date in the future must not make a month complete.
-- last_complete_month is the month of last_closed_on if the load came after its end, else the month before.
WITH loaded AS (
    SELECT coalesce(
        (SELECT CAST(value AS DATE) FROM _host.variables WHERE name = 'loaded_on:hubspot.deals'),
        CAST(timezone((SELECT value FROM _host.variables WHERE name = 'timezone'), max(_extracted_at)) AS DATE)
    ) AS loaded_on
    FROM clean_hubspot.deals
),
last_close AS (
    SELECT loaded.loaded_on, max(consultations.closed_on) AS last_closed_on
    FROM loaded
    LEFT JOIN core.fct_consultation AS consultations
        ON consultations.status IN ('won', 'lost', 'refunded') AND consultations.closed_on <= loaded.loaded_on
    GROUP BY loaded.loaded_on
)
SELECT
    loaded_on,
    last_closed_on,
    CAST(CASE
        WHEN loaded_on > last_day(last_closed_on) THEN date_trunc('month', last_closed_on)
        ELSE date_trunc('month', last_closed_on) - INTERVAL 1 MONTH
    END AS DATE) AS last_complete_month,
    coalesce((SELECT CAST(value AS INTEGER) FROM _host.variables WHERE name = 'low_n'), 5) AS low_n,
    EXISTS (SELECT 1 FROM core.fct_spend) AS has_spend,
    (SELECT min(month) FROM core.fct_spend) AS first_spend_month,
    (SELECT max(month) FROM core.fct_spend) AS last_spend_month
FROM last_close
