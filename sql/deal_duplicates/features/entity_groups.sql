{% import 'macros/components.sql' as components %}
/*
  Which labelled deals are known to be the same thing. One row per labelled deal.

  Groups follow duplicates only; the bootstrap resamples them, as pairs of one thing are right or wrong together.

  Reads verdict_links. Read by labelled_pairs.
*/
CREATE OR REPLACE TABLE {{ run_table.entity_groups }} AS
WITH alike AS (
  SELECT
    member,
    neighbour
  FROM {{ run_table.verdict_links }}
  WHERE is_duplicate
),

round_0 AS (
  SELECT DISTINCT
    member,
    member AS label
  FROM alike
),

{{ components.spread('alike', 6) }}

SELECT
  member AS deal_key,
  label AS entity_group
FROM round_6
