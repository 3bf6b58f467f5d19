-- Every raw record, and every cent, is clean, merged or rejected.
SELECT * FROM marts.mart_reconciliation
WHERE rows_raw <> rows_clean + rows_merged + rows_rejected
   OR amount_raw <> amount_clean + amount_merged + amount_rejected
