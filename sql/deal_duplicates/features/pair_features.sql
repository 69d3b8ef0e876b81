/*
  All features of a pair: its own signals and how it stands among its rivals. One row per pair.

  Reads pair_signals, pair_context. Read by training_features, validation_set, test_set, predict/ and the prediction
  service.
*/
CREATE OR REPLACE TABLE {{ run_table.pair_features }} AS
SELECT
  signals.* EXCEPT (left_seller, right_seller, met_on),
  context.* EXCEPT (left_key, right_key)
FROM {{ run_table.pair_signals }} AS signals
INNER JOIN {{ run_table.pair_context }} AS context
  ON signals.left_key = context.left_key AND signals.right_key = context.right_key
