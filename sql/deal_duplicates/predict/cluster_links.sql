/*
  The pairs that tie deals together, less those that would glue unlike deals: where two deals are surely not the same
  but both are tied to a third, the weaker of the two ties is cut. One row per deal and neighbour, each its own
  neighbour.

  Reads current_pairs. Read by clusters, cluster_members.
*/
CREATE OR REPLACE TABLE {{ run_table.cluster_links }} AS
WITH ties AS (
  SELECT
    left_key AS member,
    right_key AS neighbour,
    probability
  FROM {{ run_table.current_pairs }}
  WHERE probability >= @threshold
  UNION ALL
  SELECT
    right_key AS member,
    left_key AS neighbour,
    probability
  FROM {{ run_table.current_pairs }}
  WHERE probability >= @threshold
),

contradicted AS (
  SELECT DISTINCT
    IF(one.probability < two.probability, one.member, two.member) AS member,
    IF(one.probability < two.probability, one.neighbour, two.neighbour) AS neighbour
  FROM {{ run_table.current_pairs }} AS unlike
  INNER JOIN ties AS one
    ON unlike.left_key = one.member
  INNER JOIN ties AS two
    ON unlike.right_key = two.member AND one.neighbour = two.neighbour
  WHERE unlike.probability < @unlike_below * @threshold
),

kept AS (
  SELECT ties.*
  FROM ties
  LEFT JOIN contradicted
    ON
      (ties.member = contradicted.member AND ties.neighbour = contradicted.neighbour)
  LEFT JOIN contradicted AS reverse
    ON
      (ties.member = reverse.neighbour AND ties.neighbour = reverse.member)
  WHERE contradicted.member IS NULL AND reverse.member IS NULL
)

SELECT
  member,
  neighbour,
  probability
FROM kept
UNION ALL
SELECT DISTINCT
  member,
  member AS neighbour,
  1.0 AS probability
FROM kept
