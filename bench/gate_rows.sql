/*
Made-up predictions: a champion and two candidates over @rows pairs, two to an entity group, a fifth of them duplicates.
The probability is drawn by hash, higher for duplicates, each model with noise of its own. One row per model and pair.
*/
CREATE OR REPLACE TABLE {{ run_table.predictions }} AS
WITH pairs AS (
  SELECT
    thousand * 1000 + one AS pair,
    MOD(ABS(FARM_FINGERPRINT(CONCAT('label', CAST(thousand * 1000 + one AS STRING)))), 5) = 0 AS is_positive
  FROM UNNEST(GENERATE_ARRAY(0, DIV(@rows, 1000) - 1)) AS thousand
  CROSS JOIN UNNEST(GENERATE_ARRAY(0, 999)) AS one
)

SELECT
  name,
  'validation' AS split,
  'a' AS left_source,
  CAST(pairs.pair AS STRING) AS left_id,
  'b' AS right_source,
  CAST(pairs.pair AS STRING) AS right_id,
  CAST(DIV(pairs.pair, 2) AS STRING) AS entity_group,
  pairs.is_positive,
  IF(pairs.is_positive, 0.35, 0.0)
  + 0.65 * MOD(ABS(FARM_FINGERPRINT(CONCAT(name, CAST(pairs.pair AS STRING)))), 1000003) / 1000003 AS probability
FROM pairs
CROSS JOIN UNNEST(['champion', 'one', 'two']) AS name
