/*
  The rows as they came, one row per version of a row. Append-only.

  A row is known by ${keys}. Seen again with other content it is a new version: the one with the latest `ingested_at`
  counts, the earlier ones stay. ${label} is NULL as long as nobody knows it.

  Written by `bqloop --model ${name} import rows FILE`, or by whatever else appends to it. Read by features/.
*/
CREATE TABLE IF NOT EXISTS {{ table.${name}_rows }} (
${columns},
  ingested_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP() NOT NULL OPTIONS (description = 'When this version came'),
  import_id STRING OPTIONS (description = 'The import that brought it'),
  content_hash INT64 OPTIONS (description = 'Hash of the content; equal for a row that comes again unchanged')
)
PARTITION BY DATE(ingested_at)
CLUSTER BY ${keys}
OPTIONS (description = 'Rows as they came: one row per version; the latest ingested_at counts')
