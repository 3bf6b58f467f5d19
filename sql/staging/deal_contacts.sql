-- One row per deal and contact: the patients of each consultation. A merged contact is replaced by its survivor.
SELECT DISTINCT
    links.from_id AS deal_id,
    coalesce(merged.winner_id, links.to_id) AS contact_id
FROM clean_hubspot.deals_contacts AS links
LEFT JOIN staging.merged_records AS merged ON merged.object = 'contacts' AND merged.loser_id = links.to_id
