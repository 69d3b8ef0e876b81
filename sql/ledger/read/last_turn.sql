/*
The last turn that a run of the model is known to have had: where the search for a free one begins. One row.
*/
SELECT COALESCE(MAX(CAST(JSON_VALUE(details, '$.turn') AS INT64)), 0) AS turn
FROM {{ ledger.events }}
WHERE model = @model AND stage = 'check'
