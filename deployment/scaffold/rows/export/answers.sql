{% import 'macros/export.sql' as files %}
/*
  Writes what the champion says of every row to files. One row per row.

  Run by `bqloop --model ${name} export answers`.
*/
EXPORT DATA {{ files.options(export) }} AS
SELECT
  ${key_list_outer},
  ${said},
  version,
  run_id,
  scored_at
FROM {{ table.${name}_answers }}
