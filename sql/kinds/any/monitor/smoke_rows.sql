/*
A few validation pairs with the features that the endpoint is to be asked with, and what ML.PREDICT said to them: from
the least probable to the most. One row per pair.
Parameters: @candidate. Read by: the smoke test before a version gets traffic.
*/
WITH ranked AS (
  SELECT
    said.probability,
    TO_JSON_STRING(STRUCT(
      {% for feature in feature_columns %}
        pairs.{{ feature }}{{ ',' if not loop.last }}
      {% endfor %}
    )) AS instance,
    ROW_NUMBER()
      OVER (
        ORDER BY said.probability, {% for key in policy.keys %}said.{{ key }}{{ ', ' if not loop.last }}{% endfor %}
      )
      AS place,
    COUNT(*) OVER () AS places
  FROM {{ run_table.predictions }} AS said
  INNER JOIN {{ run_table.validation_set }} AS pairs
    ON
      {% for key in policy.keys %}
        said.{{ key }} = pairs.{{ key }}
    {% if not loop.last %}AND{% endif %}
      {% endfor %}
  WHERE said.name = @candidate AND said.split = 'validation' AND said.probability IS NOT NULL
)

SELECT
  probability,
  instance
FROM ranked
WHERE MOD(place - 1, GREATEST(DIV(places, 20), 1)) = 0 OR place = places
ORDER BY place
