-- One row per deal and company: the doctors of each consultation. A merged company is replaced by its survivor, and a
-- doctor that the rule `link` found for a deal without a company is included.
SELECT
    links.from_id AS deal_id,
    coalesce(merged.winner_id, links.to_id) AS company_id,
    bool_or(coalesce(links.label = 'Primary', false)) AS is_primary
FROM (
    SELECT from_id, to_id, label FROM clean_hubspot.deals_companies
    UNION ALL
    SELECT key, value_after, NULL FROM _host.changes
    WHERE stream = 'hubspot.deals' AND column_name = 'linked_company_id' AND value_after IS NOT NULL
) AS links
LEFT JOIN staging.merged_records AS merged ON merged.object = 'companies' AND merged.loser_id = links.to_id
GROUP BY ALL
