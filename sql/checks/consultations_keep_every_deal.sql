-- One row per deal that does not have exactly one row in `core.fct_consultation`.
SELECT deals.deal_id, count(facts.deal_id) AS facts
FROM staging.deals AS deals
LEFT JOIN core.fct_consultation AS facts ON facts.deal_id = deals.deal_id
GROUP BY deals.deal_id HAVING count(facts.deal_id) <> 1
