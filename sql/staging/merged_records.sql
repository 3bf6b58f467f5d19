WITH RECURSIVE in_hubspot AS (
    SELECT 'contacts' AS object, id AS winner_id, unnest(string_split(hs_merged_object_ids, ';')) AS loser_id
    FROM clean_hubspot.contacts WHERE hs_merged_object_ids <> ''
    UNION ALL
    SELECT 'companies', id, unnest(string_split(hs_merged_object_ids, ';'))
    FROM clean_hubspot.companies WHERE hs_merged_object_ids <> ''
    UNION ALL
    SELECT 'deals', id, unnest(string_split(hs_merged_object_ids, ';'))
    FROM clean_hubspot.deals WHERE hs_merged_object_ids <> ''
),
steps AS (
    SELECT replace(stream, 'hubspot.', '') AS object, key AS loser_id, survivor_key AS winner_id
    FROM _host.merges WHERE stream IN ('hubspot.contacts', 'hubspot.companies', 'hubspot.deals')
    UNION
    SELECT object, trim(loser_id), winner_id FROM in_hubspot WHERE trim(loser_id) <> winner_id
),
chains AS (
    SELECT object, loser_id, winner_id, 1 AS depth FROM steps
    UNION ALL
    SELECT chains.object, chains.loser_id, steps.winner_id, chains.depth + 1
    FROM chains
    JOIN steps ON steps.object = chains.object AND steps.loser_id = chains.winner_id
    -- Whatever a portal says: no circle.
    WHERE chains.depth < 20 AND steps.winner_id <> chains.loser_id
)
SELECT object, loser_id, max_by(winner_id, depth) AS winner_id
FROM chains
GROUP BY object, loser_id
