/*
The newest instant as of which a run of the model trained, before the given one: what is new is counted from there.
*/
SELECT MAX(event.as_of) AS as_of
FROM {{ ledger.events }} AS event
WHERE model = @model AND stage = 'train' AND status = 'SUCCEEDED' AND as_of < @before AND run_id != @run_id
HAVING MAX(event.as_of) IS NOT NULL
