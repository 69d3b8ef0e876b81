{% import 'macros/metrics.sql' as metrics %}
/*
How good each model is on parts of the validation rows. One row per model, slice and value of the slice.

The slices are expressions in model.yml over the columns of the validation set of this run, the same for every model.
Read by: the gate, `bqloop review`.
*/
CREATE OR REPLACE TABLE {{ run_table.slices }} AS
WITH {{ metrics.parts(policy, run_table.validation_set) }},

counted AS (
  SELECT
    outcomes.name,
    parts.slice,
    parts.value,
    COUNT(*) AS row_count,
    COUNTIF(outcomes.probability IS NOT NULL AND outcomes.threshold IS NOT NULL) AS decided,
    COUNTIF(outcomes.is_positive) AS positives,
    COUNTIF(outcomes.is_true_positive) AS true_positives,
    COUNTIF(outcomes.is_false_positive) AS false_positives,
    COUNTIF(outcomes.is_false_negative) AS false_negatives,
    COUNTIF(outcomes.is_true_negative) AS true_negatives,
    AVG(outcomes.loss) AS log_loss
  FROM {{ run_table.outcomes }} AS outcomes
  INNER JOIN parts
    ON {{ metrics.in_part(policy, 'outcomes') }}
  GROUP BY outcomes.name, parts.slice, parts.value
)

SELECT
  * EXCEPT (decided),
  SAFE_DIVIDE(true_positives, true_positives + false_positives) AS `precision`,
  SAFE_DIVIDE(true_positives, true_positives + false_negatives) AS recall,
  SAFE_DIVIDE(2 * true_positives, 2 * true_positives + false_positives + false_negatives) AS f1_score,
  SAFE_DIVIDE(true_positives + true_negatives, decided) AS accuracy,
  SAFE_DIVIDE(@cost_false_positive * false_positives + @cost_false_negative * false_negatives, decided) AS cost
FROM counted
