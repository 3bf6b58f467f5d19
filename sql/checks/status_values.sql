-- A seed that names a status the marts do not know would lose its deals.
SELECT * FROM staging.stages WHERE status NOT IN ('won', 'lost', 'open', 'refunded')
