/*
  The champion's probability for every candidate pair that no run before has scored. One row per pair.

  Features come from the champion's own SQL and frozen statistics, so they mean what it learned. @threshold is the one
  that it serves with.

  Reads pair_features. Read by current_pairs, pair_verdicts.
*/
CREATE OR REPLACE TABLE {{ run_table.pair_probabilities }}
CLUSTER BY left_source, left_id AS
SELECT
  left_key,
  right_key,
  left_source,
  left_id,
  right_source,
  right_id,
  (
    SELECT answer.prob
    FROM UNNEST(predicted_{{ policy.label }}_probs) AS answer
    WHERE CAST(answer.label AS STRING) = 'true'
  ) AS probability,
  @threshold AS threshold,
  @run_id AS run_id,
  @as_of AS scored_at
FROM ML.PREDICT(model {{ champion.model }}, table {{ run_table.pair_features }})
