/*
What a check kept out of the run: a few of the rows, each with the number of all. Parameters: @check_name.
Read by: the stage `check`, for the ledger.
*/
SELECT
  source,
  deal_id,
  ingested_at,
  COUNT(*) OVER () AS row_count
FROM {{ table.quarantined_rows }}
WHERE run_id = @run_id AND check_name = @check_name
ORDER BY source, deal_id, ingested_at
LIMIT 5
