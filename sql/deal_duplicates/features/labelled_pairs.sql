{% import 'macros/split.sql' as split %}
/*
  The labelled pairs with the split and the entity group of each. One row per pair.

  A split that came with the label wins; else the hash of the group decides, and a pair whose deals are on different
  sides is left out, so that no deal of a test pair was ever trained on.

  Reads verdicts, entity_groups, split_groups. Read by compared_pairs, training_features, validation_set, test_set.
*/
CREATE OR REPLACE TABLE {{ run_table.labelled_pairs }} AS
WITH placed AS (
  SELECT
    verdict.left_key,
    verdict.right_key,
    verdict.is_duplicate,
    verdict.split AS given_split,
    entity.entity_group,
    {{ split.of_group('left_side.split_group') }} AS left_split,
    {{ split.of_group('right_side.split_group') }} AS right_split
  FROM {{ run_table.verdicts }} AS verdict
  INNER JOIN {{ run_table.entity_groups }} AS entity
    ON verdict.left_key = entity.deal_key
  INNER JOIN {{ run_table.split_groups }} AS left_side
    ON verdict.left_key = left_side.deal_key
  INNER JOIN {{ run_table.split_groups }} AS right_side
    ON verdict.right_key = right_side.deal_key
)

SELECT
  left_key,
  right_key,
  is_duplicate,
  entity_group,
  COALESCE(given_split, left_split) AS split
FROM placed
WHERE given_split IS NOT NULL OR left_split = right_split
