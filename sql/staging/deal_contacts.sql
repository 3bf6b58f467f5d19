-- Which patients a consultation names; a merged contact stands for its survivor.
SELECT DISTINCT
    links.from_id AS deal_id,
    coalesce(merges.survivor_key, links.to_id) AS contact_id
FROM clean_hubspot.deals_contacts AS links
LEFT JOIN _host.merges AS merges ON merges.stream = 'hubspot.contacts' AND merges.key = links.to_id
