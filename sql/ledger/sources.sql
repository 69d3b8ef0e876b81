/*
The SQL of every run, text by text, so that a version can be scored years later with the features it was trained on.
One row per template and hash. Written by: the check stage. Read by: evaluate, score and the service.
*/
CREATE TABLE IF NOT EXISTS {{ ledger.sources }} (
  sql_sha STRING NOT NULL OPTIONS (description = 'hash of all texts together'),
  model STRING NOT NULL,
  path STRING NOT NULL OPTIONS (description = 'path below sql/'),
  content STRING NOT NULL OPTIONS (description = 'the template, or model.yml, as it stood'),
  recorded_at TIMESTAMP NOT NULL
)
CLUSTER BY sql_sha
OPTIONS (description = 'Templates by hash: what a run was made with')
