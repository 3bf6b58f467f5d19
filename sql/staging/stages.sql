-- What a deal stage means: the seed where it says so, else HubSpot's own probability (won is 1.0).
SELECT
    pipelines.pipeline_id AS pipeline,
    pipelines.stage_id AS stage,
    coalesce(
        overrides.status,
        CASE
            WHEN pipelines.probability = 1 THEN 'won'
            WHEN pipelines.is_closed THEN 'lost'
            ELSE 'open'
        END
    ) AS status
FROM clean_hubspot.pipelines AS pipelines
LEFT JOIN seeds.stage_map AS overrides
    ON overrides.pipeline = pipelines.pipeline_id AND overrides.stage = pipelines.stage_id
WHERE pipelines.object = 'deals'
