-- One row per stage of a deal pipeline, with the status of its deals. The seed `stage_map` decides if it names the
-- stage. Otherwise HubSpot's own definition decides: probability 1 is won; a stage that closes a deal without winning
-- it is refunded if its label says so, else lost; all other stages are open.
SELECT
    pipelines.pipeline_id AS pipeline,
    pipelines.stage_id AS stage,
    pipelines.stage_label AS label,
    coalesce(
        overrides.status,
        CASE
            WHEN pipelines.probability = 1 THEN 'won'
            WHEN NOT coalesce(pipelines.is_closed, pipelines.probability = 0, false) THEN 'open'
            -- HubSpot has no status for refunds: only the stage's label distinguishes them from lost deals.
            WHEN regexp_matches(lower(pipelines.stage_label), 'reembols|estorn|devol|refund') THEN 'refunded'
            ELSE 'lost'
        END
    ) AS status
FROM clean_hubspot.pipelines AS pipelines
LEFT JOIN seeds.stage_map AS overrides
    ON overrides.pipeline = pipelines.pipeline_id AND overrides.stage = pipelines.stage_id
WHERE pipelines.object = 'deals'
