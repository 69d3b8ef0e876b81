/*
  The champion's probability for every candidate pair. One row per pair.

  Features come from the champion's own SQL and frozen statistics, so they mean what it learned. @threshold is the one
  that it serves with.

  Reads pair_features. Read by pair_verdicts, cluster_links.
*/
CREATE OR REPLACE TABLE {{ run_table.pair_probabilities }} AS
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
  ) AS probability
FROM ML.PREDICT(model {{ champion.model }}, table {{ run_table.pair_features }})
