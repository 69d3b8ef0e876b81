/*
  The labelled pairs as a graph. One row per deal and neighbour, each deal its own neighbour among them.

  A deal's link with itself bears the instant of its first verdict.

  Reads verdicts. Read by split_groups, entity_groups.
*/
CREATE OR REPLACE TABLE {{ run_table.verdict_links }} AS
SELECT
  left_key AS member,
  right_key AS neighbour,
  is_duplicate,
  judged_since
FROM {{ run_table.verdicts }}
UNION ALL
SELECT
  right_key AS member,
  left_key AS neighbour,
  is_duplicate,
  judged_since
FROM {{ run_table.verdicts }}
UNION ALL
SELECT
  member,
  member AS neighbour,
  TRUE AS is_duplicate,
  MIN(judged_since) AS judged_since
FROM {{ run_table.verdicts }}, UNNEST([left_key, right_key]) AS member
GROUP BY member
