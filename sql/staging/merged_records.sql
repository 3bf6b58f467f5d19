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
reached AS (
    SELECT object, loser_id, winner_id FROM steps
    -- UNION keeps what is new: a circle, whatever a portal says, comes to an end.
    UNION
    SELECT reached.object, reached.loser_id, steps.winner_id
    FROM reached
    JOIN steps ON steps.object = reached.object AND steps.loser_id = reached.winner_id
),
ends AS (
    SELECT
        reached.object,
        reached.loser_id,
        reached.winner_id,
        steps.loser_id IS NOT NULL AS is_in_circle
    FROM reached
    LEFT JOIN (SELECT DISTINCT object, loser_id FROM steps) AS steps
        ON steps.object = reached.object AND steps.loser_id = reached.winner_id
    WHERE steps.loser_id IS NULL
        OR (reached.object, reached.winner_id) IN (SELECT (object, loser_id) FROM reached WHERE loser_id = winner_id)
),
chosen AS (
    -- Of a circle the lowest id stays (ids are numbers in text: the shorter is the lower).
    SELECT object, loser_id, winner_id, is_in_circle
    FROM ends
    QUALIFY row_number() OVER (
        PARTITION BY object, loser_id ORDER BY is_in_circle, length(winner_id), winner_id
    ) = 1
)
SELECT object, loser_id, winner_id, is_in_circle
FROM chosen
WHERE loser_id <> winner_id
