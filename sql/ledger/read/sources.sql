/*
The templates kept under a hash.
*/
SELECT
  path,
  content
FROM {{ ledger.sources }}
WHERE sql_sha = @sql_sha
QUALIFY ROW_NUMBER() OVER (PARTITION BY path ORDER BY recorded_at) = 1
