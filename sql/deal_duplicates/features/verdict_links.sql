/*
  The labelled pairs as a graph. One row per deal and neighbour, each deal its own neighbour among them.

  Reads verdicts. Read by verdict_groups.
*/
CREATE OR REPLACE TABLE {{ run_table.verdict_links }} AS
SELECT
  left_key AS member,
  right_key AS neighbour,
  is_duplicate
FROM {{ run_table.verdicts }}
UNION ALL
SELECT
  right_key AS member,
  left_key AS neighbour,
  is_duplicate
FROM {{ run_table.verdicts }}
UNION ALL
SELECT DISTINCT
  member,
  member AS neighbour,
  TRUE AS is_duplicate
FROM {{ run_table.verdicts }}, UNNEST([left_key, right_key]) AS member
