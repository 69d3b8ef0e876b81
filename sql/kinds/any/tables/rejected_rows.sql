/*
  Rows of imported files that could not be taken, one row each, with the reason. Append-only.

  Read by people, and by those who mend a feed: `SELECT reason, COUNT(*) … GROUP BY reason`.
  Written by import/insert_rejected_rows.sql.
*/
CREATE TABLE IF NOT EXISTS {{ table.rejected_rows }} (
  rejected_at TIMESTAMP NOT NULL OPTIONS (description = 'When the import ran'),
  import_id STRING NOT NULL OPTIONS (description = 'The import; the rows it did take carry the same'),
  kind STRING NOT NULL OPTIONS (description = 'deals or labels'),
  file STRING NOT NULL OPTIONS (description = 'The file as it was named to the import'),
  line INT64 NOT NULL OPTIONS (description = 'Line in the file where the row begins, the first is 1; Parquet: the row'),
  reason STRING NOT NULL OPTIONS (description = 'What was wrong, field by field'),
  content STRING OPTIONS (description = 'The row as it stood; bytes that are no text are shown as hexadecimal escapes')
)
PARTITION BY DATE(rejected_at)
CLUSTER BY kind, import_id
OPTIONS (description = 'Rows that an import could not take, with reason, line and content')
