{% import 'macros/guess.sql' as guess %}
{% import 'macros/lot.sql' as lot %}
/*
  What the first guess is learned from: the verdict on a labelled pair and its signals, as numbers in a row. One row per
  pair.

  `numbers` holds the verdict (1 for a duplicate), a 1 for what all pairs have in common, and the signals in the order
  of macros/guess.sql. Pairs of split 'train' alone, at most 10,000 of each verdict, chosen by hash. Duplicates weigh as
  much as all others together, however few they are.

  Reads labelled_pairs, pair_signals. Read by guess_weights.
*/
CREATE OR REPLACE TABLE {{ run_table.guess_examples }} AS
WITH chosen AS (
  SELECT
    left_key,
    right_key,
    is_duplicate
  FROM {{ run_table.labelled_pairs }}
  WHERE split = 'train'
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY is_duplicate
    ORDER BY {{ lot.of_pair() }}
  ) <= 10000
),

counted AS (
  SELECT
    is_duplicate,
    COUNT(*) AS pairs
  FROM chosen
  GROUP BY is_duplicate
)

SELECT
  known.left_key,
  known.right_key,
  SAFE_DIVIDE(0.5, counted.pairs) AS weight,
  [
    IF(known.is_duplicate, 1.0, 0.0),
    1.0,
    {% for signal in guess.signals %}
      CAST(pair.{{ signal }} AS FLOAT64){{ ',' if not loop.last }}
    {% endfor %}
  ] AS numbers
FROM chosen AS known
INNER JOIN counted
  ON known.is_duplicate = counted.is_duplicate
INNER JOIN {{ run_table.pair_signals }} AS pair
  ON known.left_key = pair.left_key AND known.right_key = pair.right_key
