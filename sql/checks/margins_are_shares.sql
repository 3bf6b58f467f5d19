-- A gross margin lies between 0 and 1.
SELECT * FROM seeds.margin WHERE gross_margin_pct IS NULL OR gross_margin_pct NOT BETWEEN 0 AND 1
