-- One row per deal stage that HubSpot's pipelines do not define.
SELECT DISTINCT deals.pipeline, deals.stage
FROM staging.deals AS deals
LEFT JOIN staging.stages AS stages USING (pipeline, stage)
WHERE stages.status IS NULL
