-- One row per record ID of contacts, companies and deals, including IDs that only appear in merges in HubSpot, with the
-- ID of the record that represents it in the models (`survivor_id`). `how` is one of:
--   itself             the record represents itself
--   linked             the same, and a rule linked it to the company `linked_id`
--   merged             a rule merged it into another record
--   merged_in_hubspot  it was merged into another record in HubSpot
--   rejected           a rule rejected it: no record represents it
-- `rule`, `evidence` and `confidence` (0 to 1) describe the record's own merge, link or rejection. `survivor_id` is the
-- last record of a chain of merges.
WITH ids AS (
    SELECT 'contacts' AS object, id AS record_id FROM raw_hubspot.contacts
    UNION SELECT 'companies', id FROM raw_hubspot.companies
    UNION SELECT 'deals', id FROM raw_hubspot.deals
    UNION SELECT object, loser_id FROM staging.merged_records
),
merges AS (
    SELECT replace(stream, 'hubspot.', '') AS object, key AS record_id, rule, code AS evidence, confidence
    FROM _host.merges
),
rejects AS (
    SELECT replace(stream, 'hubspot.', '') AS object, key AS record_id, rule, code AS evidence FROM _host.rejects
),
links AS (
    SELECT
        changes.key AS record_id,
        changes.rule,
        changes.value_after AS linked_id,
        notes.message AS evidence,
        notes.confidence
    FROM _host.changes AS changes
    LEFT JOIN _host.notes AS notes
        ON notes.stream = changes.stream
        AND notes.rule = changes.rule
        AND notes.key = changes.key
        AND notes.code = 'linked'
    WHERE changes.stream = 'hubspot.deals'
        AND changes.column_name = 'linked_company_id'
        AND changes.value_after IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY changes.key ORDER BY notes.confidence DESC NULLS LAST, changes.rule) = 1
),
outcomes AS (
    SELECT
        'hubspot.' || ids.object AS stream,
        ids.record_id,
        merged.winner_id,
        CASE
            WHEN merges.record_id IS NOT NULL THEN 'merged'
            WHEN merged.loser_id IS NOT NULL THEN 'merged_in_hubspot'
            WHEN rejects.record_id IS NOT NULL THEN 'rejected'
            WHEN links.record_id IS NOT NULL THEN 'linked'
            ELSE 'itself'
        END AS how,
        merges,
        rejects,
        links
    FROM ids
    LEFT JOIN staging.merged_records AS merged ON merged.object = ids.object AND merged.loser_id = ids.record_id
    LEFT JOIN merges ON merges.object = ids.object AND merges.record_id = ids.record_id
    LEFT JOIN rejects ON rejects.object = ids.object AND rejects.record_id = ids.record_id
    LEFT JOIN links ON ids.object = 'deals' AND links.record_id = ids.record_id
)
SELECT
    stream,
    record_id,
    CASE how WHEN 'rejected' THEN NULL ELSE coalesce(winner_id, record_id) END AS survivor_id,
    how,
    CASE how WHEN 'merged' THEN merges.rule WHEN 'rejected' THEN rejects.rule WHEN 'linked' THEN links.rule END AS rule,
    CASE how
        WHEN 'merged' THEN merges.evidence
        WHEN 'merged_in_hubspot' THEN 'hs_merged_object_ids'
        WHEN 'rejected' THEN rejects.evidence
        WHEN 'linked' THEN links.evidence
    END AS evidence,
    CASE how WHEN 'merged' THEN merges.confidence WHEN 'linked' THEN links.confidence END AS confidence,
    CASE how WHEN 'linked' THEN links.linked_id END AS linked_id
FROM outcomes
