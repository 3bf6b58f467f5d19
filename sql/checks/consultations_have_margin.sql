-- A won consultation without a gross margin would count as nothing: the seed must cover its specialty, or `Unknown`,
-- at its close date.
SELECT deal_id, specialty, closed_on FROM core.fct_consultation
WHERE status IN ('won', 'refunded') AND margin IS NULL AND closed_on IS NOT NULL
