-- One row per channel and cost type of the spend file of which either is unknown.
SELECT DISTINCT channel, cost_type FROM staging.spend
WHERE channel NOT IN (SELECT channel FROM staging.channel_map UNION ALL SELECT 'unallocated')
   OR cost_type NOT IN ('media', 'agency', 'salary', 'tools', 'events', 'content', 'other')
