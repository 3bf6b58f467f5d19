SELECT
    pipelines.pipeline_id AS pipeline,
    pipelines.stage_id AS stage,
    pipelines.stage_label AS label,
    coalesce(
        overrides.status,
        CASE
            WHEN pipelines.probability = 1 THEN 'won'
            WHEN NOT coalesce(pipelines.is_closed, pipelines.probability = 0, false) THEN 'open'
            -- HubSpot has no word for refunds: among the stages that end a deal unwon, the label tells.
            WHEN regexp_matches(lower(pipelines.stage_label), 'reembols|estorn|devol|refund') THEN 'refunded'
            ELSE 'lost'
        END
    ) AS status
FROM clean_hubspot.pipelines AS pipelines
LEFT JOIN seeds.stage_map AS overrides
    ON overrides.pipeline = pipelines.pipeline_id AND overrides.stage = pipelines.stage_id
WHERE pipelines.object = 'deals'
