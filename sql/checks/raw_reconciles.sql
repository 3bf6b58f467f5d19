-- One row per run and entity where raw differs from clean + merged + rejected, in records or in amounts.
SELECT
    load_id,
    entity,
    rows_raw - rows_clean - rows_merged - rows_rejected AS rows_off,
    amount_raw - amount_clean - amount_merged - amount_rejected AS amount_off
FROM marts.mart_reconciliation
WHERE rows_off <> 0 OR amount_off <> 0
