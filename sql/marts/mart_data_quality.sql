-- One row per completed run, stream and rule. What a run did before it failed or was killed counts in the next run that
-- completed, which did not have to do it again. failed = records that the rule rejected, merged or flagged;
-- pct = failed / checked. Only the rows of a stream's last run have these columns:
--   amount_affected                    amount of the deals that the rule changed, rejected, merged or flagged,
--                                      directly or through their patient or doctor
--   confidence_least, confidence_mean  0 to 1, of the merges and notes for which the rule states a confidence
WITH rule_runs AS (
    SELECT done.*, own.pipeline
    FROM _host.rule_runs AS done
    LEFT JOIN _host.runs AS own ON own.load_id = done.load_id
),
-- The run that builds this table is still active, and the last one of its pipeline.
last_of_pipeline AS (
    SELECT pipeline, max(load_id) AS load_id FROM _host.runs GROUP BY pipeline
),
completed AS (
    SELECT pipeline, load_id FROM _host.runs WHERE status IN ('ok', 'partial')
),
counted_in AS (
    SELECT begun.load_id, coalesce(completed.load_id, last_of_pipeline.load_id, begun.load_id) AS counted_in
    FROM (SELECT DISTINCT load_id, pipeline FROM rule_runs) AS begun
    ASOF LEFT JOIN completed ON completed.pipeline = begun.pipeline AND completed.load_id >= begun.load_id
    LEFT JOIN last_of_pipeline ON last_of_pipeline.pipeline = begun.pipeline
),
runs AS (
    SELECT
        counted_in.counted_in AS load_id,
        stream,
        rule,
        max_by(position, rule_runs.load_id) AS position,
        CAST(sum(rows_checked) AS BIGINT) AS rows_checked,
        CAST(sum(rows_failed) AS BIGINT) AS rows_failed,
        CAST(sum(fields_changed) AS BIGINT) AS fields_changed,
        CAST(sum(rows_merged) AS BIGINT) AS rows_merged,
        CAST(sum(rows_rejected) AS BIGINT) AS rows_rejected,
        CAST(sum(notes) AS BIGINT) AS notes
    FROM rule_runs
    JOIN counted_in USING (load_id)
    GROUP BY counted_in.counted_in, stream, rule
),
affected_records AS (
    SELECT stream, rule, key FROM _host.changes
    UNION SELECT stream, rule, key FROM _host.rejects
    UNION SELECT stream, rule, key FROM _host.notes
    UNION SELECT stream, rule, key FROM _host.merges
),
deals AS (
    SELECT 'hubspot.deals' AS stream, id AS key, id AS deal_id FROM raw_hubspot.deals
    UNION SELECT 'hubspot.contacts', to_id, from_id FROM raw_hubspot.deals_contacts
    UNION SELECT 'hubspot.companies', to_id, from_id FROM raw_hubspot.deals_companies
),
last_runs AS (
    SELECT stream, max(load_id) AS load_id FROM runs GROUP BY stream
),
amounts AS (
    SELECT affected_deals.stream, affected_deals.rule, last_runs.load_id, sum(raw.amount) AS amount_affected
    FROM (SELECT DISTINCT stream, rule, deal_id FROM affected_records JOIN deals USING (stream, key)) AS affected_deals
    JOIN raw_hubspot.deals AS raw ON raw.id = affected_deals.deal_id
    JOIN last_runs ON last_runs.stream = affected_deals.stream
    GROUP BY ALL
),
confidences AS (
    SELECT rated.stream, rated.rule, last_runs.load_id, min(confidence) AS least, avg(confidence) AS mean
    FROM (
        SELECT stream, rule, confidence FROM _host.notes
        UNION ALL SELECT stream, rule, confidence FROM _host.merges
    ) AS rated
    JOIN last_runs ON last_runs.stream = rated.stream
    WHERE confidence IS NOT NULL
    GROUP BY ALL
)
SELECT
    runs.load_id,
    runs.stream,
    runs.position,
    runs.rule,
    runs.rows_checked AS checked,
    runs.rows_failed AS failed,
    runs.rows_failed / nullif(runs.rows_checked, 0) AS pct,
    runs.fields_changed AS fixed,
    runs.rows_merged AS merged,
    runs.rows_rejected AS rejected,
    runs.notes,
    amounts.amount_affected,
    confidences.least AS confidence_least,
    confidences.mean AS confidence_mean
FROM runs
LEFT JOIN amounts
    ON amounts.stream = runs.stream
    AND amounts.rule = runs.rule
    AND amounts.load_id = runs.load_id
LEFT JOIN confidences
    ON confidences.stream = runs.stream
    AND confidences.rule = runs.rule
    AND confidences.load_id = runs.load_id
