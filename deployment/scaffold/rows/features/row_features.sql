/*
  What is known of a row before its ${label} is. One row per row, the latest version as of @as_of.

  Every column but the keys is a feature. To add one, add an expression with a comment that says why: training, scoring
  and the prediction service run this same statement. Never use the label here, nor what is known only with it.

  Reads ${name}_rows. Read by training_features, validation_set, test_set, row_answers, the prediction service.
*/
CREATE OR REPLACE TABLE {{ run_table.row_features }} AS
SELECT
${features}
FROM {{ table.${name}_rows }}
WHERE ingested_at <= @as_of
QUALIFY ROW_NUMBER() OVER (PARTITION BY ${keys} ORDER BY ingested_at DESC) = 1
