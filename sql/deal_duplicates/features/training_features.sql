{% import 'macros/lot.sql' as lot %}
/*
  What the candidates are fitted on: the labelled pairs of split 'train' with their features. One row per pair.

  Every column that model.yml does not name as key, label, split or group is a feature: a feature is added by adding
  an expression to pair_signals or pair_features, and nowhere else.

  Negatives are all labelled ones, or at most @negatives_per_duplicate a duplicate where that is above 0: half of them
  the hardest by the first guess, half drawn by hash from all. Validation and test keep theirs, so the threshold is
  chosen at the true share.

  Reads pair_features, pair_scores, labelled_pairs. Read by train/.
*/
CREATE OR REPLACE TABLE {{ run_table.training_features }} AS
WITH ranked AS (
  SELECT
    known.left_key,
    known.right_key,
    known.is_duplicate,
    SUM(IF(known.is_duplicate, 1, 0)) OVER () AS duplicates,
    ROW_NUMBER() OVER (
      PARTITION BY known.is_duplicate ORDER BY pair.guess DESC, known.left_key ASC, known.right_key ASC
    ) AS hardness,
    ROW_NUMBER() OVER (
      PARTITION BY known.is_duplicate
      ORDER BY {{ lot.of_pair('known.') }}
    ) AS lot
  FROM {{ run_table.labelled_pairs }} AS known
  INNER JOIN {{ run_table.pair_scores }} AS pair
    ON known.left_key = pair.left_key AND known.right_key = pair.right_key
  WHERE known.split = 'train'
)

SELECT
  pair.* EXCEPT (left_key, right_key),
  known.is_duplicate
FROM {{ run_table.pair_features }} AS pair
INNER JOIN ranked AS known
  ON pair.left_key = known.left_key AND pair.right_key = known.right_key
WHERE
  known.is_duplicate
  OR @negatives_per_duplicate = 0
  OR 2 * LEAST(known.hardness, known.lot) <= @negatives_per_duplicate * known.duplicates
