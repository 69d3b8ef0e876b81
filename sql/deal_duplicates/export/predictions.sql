{% import 'macros/export.sql' as files %}
/*
  Writes what the champion thinks of each candidate pair to files. One row per pair.

  Run by `bqloop export predictions`.
*/
EXPORT DATA {{ files.options(export) }} AS
SELECT
  left_source,
  left_id,
  right_source,
  right_id,
  probability,
  is_duplicate,
  threshold,
  champion,
  run_id,
  scored_at
FROM {{ table.duplicate_pairs }}
