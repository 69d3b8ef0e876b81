{% import 'macros/guess.sql' as guess %}
/*
  How much each signal counts in the first guess: the weights of least squares, learned from verdicts. One row.

  Gauss-Jordan elimination over the sums of products of any two numbers of an example: each round explains one of them
  away from all others, and what is left in the column of the verdict (place 0) are the weights. The first round (place
  1) takes the means away; after it each signal's own sum grows by a hundredth (ridge), so that signals which say the
  same share the weight. A signal that never varies gets none; without verdicts all weights are 0, and the guess is the
  same for every pair.

  Frozen with the run that trained, as it knows what people said. It is no CREATE MODEL, because features need it
  whatever verdicts there are, none and of one kind among them.

  Reads guess_examples. Read by pair_scores and the prediction service.
*/
CREATE OR REPLACE TABLE {{ run_table.guess_weights }} AS
WITH left_after_0 AS (
  SELECT
    mine_at AS mine,
    other_at AS other,
    SUM(example.weight * mine_number * other_number) AS product
  FROM {{ run_table.guess_examples }} AS example
  CROSS JOIN UNNEST(example.numbers) AS mine_number WITH OFFSET AS mine_at
  CROSS JOIN UNNEST(example.numbers) AS other_number WITH OFFSET AS other_at
  WHERE mine_at > 0
  GROUP BY mine_at, other_at
),

{% for place in range(1, guess.signals | length + 2) %}
  round_{{ place }} AS (
    SELECT
      mine,
      other,
      product,
      MAX(IF(other = {{ place }}, product, NULL)) OVER (PARTITION BY mine) AS in_column,
      MAX(IF(mine = {{ place }}, product, NULL)) OVER (PARTITION BY other) AS in_row,
      MAX(IF(mine = {{ place }} AND other = {{ place }}, product, NULL)) OVER () AS at_crossing
    FROM left_after_{{ place - 1 }}
  ),

  left_after_{{ place }} AS (
    SELECT
      mine,
      other,
      CASE
        WHEN mine = {{ place }} THEN IF(at_crossing > 1e-9, SAFE_DIVIDE(in_row, at_crossing), 0)
        WHEN at_crossing > 1e-9 THEN product - SAFE_DIVIDE(in_column * in_row, at_crossing)
        ELSE product
      END{{ ' * IF(mine = other AND mine > 1, 1.01, 1)' if place == 1 }} AS product
    FROM round_{{ place }}
  ){{ ',' if not loop.last }}

{% endfor %}
SELECT
  COALESCE(ROUND(MAX(IF(mine = 1, product, NULL)), 9), 0) AS base,
{% for signal in guess.signals %}
  COALESCE(ROUND(MAX(IF(mine = {{ loop.index + 1 }}, product, NULL)), 9), 0) AS {{ signal }}{{ ',' if not loop.last }}
{% endfor %}
FROM left_after_{{ guess.signals | length + 1 }}
WHERE other = 0
