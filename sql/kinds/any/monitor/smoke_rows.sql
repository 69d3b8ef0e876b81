{% import 'macros/answers.sql' as answers %}
{% import 'macros/keys.sql' as keys %}
/*
A few validation rows with the features that the endpoint is to be asked with, and what ML.PREDICT said to them: from
the least to the most. One row per validation row.
Parameters: @candidate. Read by: the smoke test before a version gets traffic.
*/
WITH ranked AS (
  SELECT
    said.{{ answers.said(policy) }} AS expected,
    TO_JSON_STRING(STRUCT(
      {% for feature in feature_columns %}
        judged.{{ feature }}{{ ',' if not loop.last }}
      {% endfor %}
    )) AS instance,
    ROW_NUMBER() OVER (
      ORDER BY said.{{ answers.said(policy) }}, said.{{ policy.keys | join(', said.') }}
    ) AS place,
    COUNT(*) OVER () AS places
  FROM {{ run_table.predictions }} AS said
  INNER JOIN {{ run_table.validation_set }} AS judged
    ON {{ keys.equal(policy.keys, 'said', 'judged') }}
  WHERE said.name = @candidate AND said.split = 'validation' AND said.{{ answers.said(policy) }} IS NOT NULL
)

SELECT
  expected,
  instance
FROM ranked
WHERE MOD(place - 1, GREATEST(DIV(places, 20), 1)) = 0 OR place = places
ORDER BY place
