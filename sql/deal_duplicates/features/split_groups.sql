{% import 'macros/components.sql' as components %}
/*
  Which labelled deals must be on one side of the split: those that share a pair, directly or through others,
  duplicates or not. One row per labelled deal.

  A deal goes where those went that it was first judged with, and stays there: only its first verdicts place it, later
  ones change nothing, so that no deal which a champion learned from is ever moved among those that judge it. The group
  bears the key of the deal in it that was judged first.

  Three steps reach all of what reviewers judge around a deal. Where verdicts are so dense that all hang together, or
  where a later one ties what was apart, groups end there, and labelled_pairs leaves out the pairs that would cross the
  split.

  Reads verdict_links. Read by labelled_pairs.
*/
CREATE OR REPLACE TABLE {{ run_table.split_groups }} AS
WITH placed AS (
  SELECT
    member,
    judged_since,
    ROW_NUMBER() OVER (ORDER BY judged_since, member) AS place
  FROM {{ run_table.verdict_links }}
  WHERE member = neighbour
),

first_links AS (
  SELECT
    link.member,
    link.neighbour
  FROM {{ run_table.verdict_links }} AS link
  INNER JOIN placed
    ON link.member = placed.member AND link.judged_since = placed.judged_since
),

round_0 AS (
  SELECT
    member,
    place AS label
  FROM placed
),

{{ components.spread('first_links', 3) }}

SELECT
  round_3.member AS deal_key,
  placed.member AS split_group
FROM round_3
INNER JOIN placed
  ON round_3.label = placed.place
