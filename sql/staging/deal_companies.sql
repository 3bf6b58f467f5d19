-- Which doctors a consultation names, and whether as the primary one; a merged company stands for its survivor.
SELECT
    links.from_id AS deal_id,
    coalesce(merged.winner_id, links.to_id) AS company_id,
    bool_or(coalesce(links.label = 'Primary', false)) AS is_primary
FROM clean_hubspot.deals_companies AS links
LEFT JOIN staging.merged_records AS merged ON merged.object = 'companies' AND merged.loser_id = links.to_id
GROUP BY ALL
