/*
  Keeps the rows that an import could not take in rejected_rows, one row each; once, however often it runs.

  Runs before what was taken is landed, so that no import is complete without its refused rows.
  `staging` holds the file's rows. Parameters: @import_id, @ingested_at, @kind, @file.
*/
INSERT INTO {{ table.rejected_rows }} (rejected_at, import_id, kind, file, line, reason, content)
SELECT
  @ingested_at AS rejected_at,
  @import_id AS import_id,
  @kind AS kind,
  @file AS file,
  line,
  reason,
  content
FROM {{ staging }}
WHERE
  reason IS NOT NULL
  AND NOT EXISTS (
    SELECT 1 FROM {{ table.rejected_rows }}
    WHERE import_id = @import_id
  )
