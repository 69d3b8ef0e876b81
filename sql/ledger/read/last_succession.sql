/*
The last link of the chain of champions that is recorded: those up to it were carried out. One row.
*/
SELECT COALESCE(MAX(CAST(JSON_VALUE(details, '$.production.succession') AS INT64)), 0) AS succession
FROM {{ ledger.events }}
WHERE model = @model
