{% import 'macros/export.sql' as files %}
/*
  Writes the duplicate deals to files. One row per deal that has a duplicate.

  Run by `bqloop export duplicates`.
*/
EXPORT DATA {{ files.options(export) }} AS
SELECT
  source,
  deal_id,
  cluster_id,
  canonical_source,
  canonical_id,
  deals,
  probability,
  run_id,
  as_of
FROM {{ table.duplicates }}
