-- A channel that no patient can come by, or a cost type that nobody knows, hides a spelling that keeps its cost apart.
-- severity: warn
SELECT DISTINCT channel, cost_type FROM staging.spend
WHERE channel NOT IN (SELECT channel FROM staging.channel_map UNION ALL SELECT 'unallocated')
   OR cost_type NOT IN ('media', 'agency', 'salary', 'tools', 'events', 'content', 'other')
