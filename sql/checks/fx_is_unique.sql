-- Two rates of one currency and month would count its money twice.
SELECT month, currency, count(*) AS rates FROM staging.fx GROUP BY month, currency HAVING count(*) > 1
