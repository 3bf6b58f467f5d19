-- One row if the number of rows differs between the spend file and `core.fct_spend`.
SELECT * FROM (
    SELECT (SELECT count(*) FROM staging.spend) AS spend_rows, (SELECT count(*) FROM core.fct_spend) AS fact_rows
) WHERE spend_rows <> fact_rows
