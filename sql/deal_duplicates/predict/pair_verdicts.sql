/*
  Writes what the champion thinks of each pair to duplicate_pairs, whichever of its runs said so. One row per pair.

  Reads current_pairs. Read by people and `bqloop export`.
*/
CREATE OR REPLACE TABLE {{ table.duplicate_pairs }}
PARTITION BY DATE(scored_at)
CLUSTER BY left_source, left_id AS
SELECT
  left_source,
  left_id,
  right_source,
  right_id,
  probability,
  probability >= @threshold AS is_duplicate,
  @threshold AS threshold,
  {{ "'" ~ champion.model | replace('`', '') ~ "'" }} AS champion,
  run_id,
  scored_at
FROM {{ run_table.current_pairs }}
