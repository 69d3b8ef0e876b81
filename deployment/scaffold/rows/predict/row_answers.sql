{% import 'macros/answers.sql' as answers %}
/*
  What the champion says of every row, with the features of its own SQL. One row per row.

  Reads row_features. Read by people.
*/
CREATE OR REPLACE TABLE {{ table.${name}_answers }}
CLUSTER BY ${keys} AS
SELECT
  ${key_list_outer},
  {{ answers.of_row(policy) }} AS ${said},
  @version AS version,
  @run_id AS run_id,
  @as_of AS scored_at
FROM ML.PREDICT(MODEL {{ champion.model }}, TABLE {{ run_table.row_features }})  -- noqa: CP02
