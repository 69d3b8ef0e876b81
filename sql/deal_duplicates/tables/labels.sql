/*
  What people say about pairs of deals, one row per verdict. Append-only.

  A pair has no direction: (a, b) and (b, a) are the same pair, stored in the order in which it was given. Of several
  verdicts on a pair the one with the latest `ingested_at` counts. `ingested_at` decides what a run may see and what is
  new since the last one; `labelled_at` may lie long before it.

  Written by import/insert_labels.sql and by the feedback service. Read by features/ and monitor/freshness.sql.
*/
CREATE TABLE IF NOT EXISTS {{ table.labels }} (
  left_source STRING NOT NULL OPTIONS (description = 'Source of the one deal'),
  left_id STRING NOT NULL OPTIONS (description = 'deal_id of the one deal'),
  right_source STRING NOT NULL OPTIONS (description = 'Source of the other deal'),
  right_id STRING NOT NULL OPTIONS (description = 'deal_id of the other deal'),
  is_duplicate BOOL NOT NULL OPTIONS (description = 'TRUE: both are the same offer'),
  labelled_by STRING OPTIONS (description = 'Who judged, where it is known'),
  labelled_at TIMESTAMP NOT NULL OPTIONS (description = 'When it was judged'),
  origin STRING NOT NULL OPTIONS (description = 'import, feedback or review'),
  split STRING OPTIONS (description = 'train, validation or test where the label came with one; it wins over the hash'),
  ingested_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP() NOT NULL OPTIONS (description = 'When bqloop learned of it'),
  import_id STRING OPTIONS (description = 'The import that brought it; NULL for feedback and review')
)
PARTITION BY DATE(ingested_at)
CLUSTER BY left_source, left_id
OPTIONS (description = 'Verdicts on pairs of deals: one row per verdict; the latest ingested_at counts')
