-- One row per record that was merged into another, with the record that survives. Merges come from two places: rules
-- (`_host.merges`) and HubSpot, where the surviving record lists the merged IDs in `hs_merged_object_ids`. A chain of
-- merges is followed to its last record; in a cycle the record with the lowest ID survives.
WITH RECURSIVE hubspot_merges AS (
    SELECT 'contacts' AS object, id AS winner_id, unnest(string_split(hs_merged_object_ids, ';')) AS loser_id
    FROM clean_hubspot.contacts WHERE hs_merged_object_ids <> ''
    UNION ALL
    SELECT 'companies', id, unnest(string_split(hs_merged_object_ids, ';'))
    FROM clean_hubspot.companies WHERE hs_merged_object_ids <> ''
    UNION ALL
    SELECT 'deals', id, unnest(string_split(hs_merged_object_ids, ';'))
    FROM clean_hubspot.deals WHERE hs_merged_object_ids <> ''
),
direct_merges AS (
    SELECT replace(stream, 'hubspot.', '') AS object, key AS loser_id, survivor_key AS winner_id
    FROM _host.merges WHERE stream IN ('hubspot.contacts', 'hubspot.companies', 'hubspot.deals')
    UNION
    SELECT object, trim(loser_id), winner_id FROM hubspot_merges WHERE trim(loser_id) <> winner_id
),
chains AS (
    SELECT object, loser_id, winner_id FROM direct_merges
    -- UNION drops duplicates, so the recursion ends even if merges form a cycle.
    UNION
    SELECT chains.object, chains.loser_id, direct_merges.winner_id
    FROM chains
    JOIN direct_merges ON direct_merges.object = chains.object AND direct_merges.loser_id = chains.winner_id
),
chain_ends AS (
    SELECT
        chains.object,
        chains.loser_id,
        chains.winner_id,
        direct_merges.loser_id IS NOT NULL AS is_in_circle
    FROM chains
    LEFT JOIN (SELECT DISTINCT object, loser_id FROM direct_merges) AS direct_merges
        ON direct_merges.object = chains.object AND direct_merges.loser_id = chains.winner_id
    WHERE direct_merges.loser_id IS NULL
        OR (chains.object, chains.winner_id) IN (SELECT (object, loser_id) FROM chains WHERE loser_id = winner_id)
),
survivors AS (
    -- In a cycle the lowest ID survives. IDs are numbers stored as text: the shorter one is the lower.
    SELECT object, loser_id, winner_id, is_in_circle
    FROM chain_ends
    QUALIFY row_number() OVER (
        PARTITION BY object, loser_id ORDER BY is_in_circle, length(winner_id), winner_id
    ) = 1
)
SELECT object, loser_id, winner_id, is_in_circle
FROM survivors
WHERE loser_id <> winner_id
