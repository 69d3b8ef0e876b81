/*
  When an import landed: one row, NULL if it has not. `target` is the table that it goes to.

  Parameter: @import_id.
*/
SELECT MIN(ingested_at) AS landed_at
FROM {{ target }}
WHERE import_id = @import_id
