/*
What another version would have said to the pairs that one version answered. One row.

In a rollout the champion shadows the challenger; before one, the challenger shadows the champion. The shadow is given the
features as they were logged, so it costs no request and nobody waits for it.
Variables: {% raw %}{{ shadow.model }}, {{ shadow.features }} (name and BigQuery type of each feature of that model){% endraw %}.
Parameters: @since, @until (the window), @version (whose answers), @shadow_threshold. Read by: deployment/rollout.py.
*/
WITH answered AS (
  SELECT
    inference_id,
    is_duplicate AS answer,
    {% for name, type in shadow.features %}
      {% if type in ('INTEGER', 'INT64') %}
      CAST(SAFE_CAST(JSON_VALUE(features, '$.{{ name }}') AS FLOAT64) AS INT64) AS {{ name }}{{ ',' if not loop.last }}
      {% else %}
      SAFE_CAST(JSON_VALUE(features, '$.{{ name }}') AS {{ {'FLOAT': 'FLOAT64', 'BOOLEAN': 'BOOL'}.get(type, type) }}) AS {{ name }}{{ ',' if not loop.last }}
      {% endif %}
    {% endfor %}
  FROM {{ table.inferences }}
  WHERE
    model = @model
    AND version = @version
    AND probability IS NOT NULL
    -- A text that holds JSON has no members: without this, a log written so would look like disagreement.
    AND STARTS_WITH(TO_JSON_STRING(features), '{')
    AND answered_at > @since
    AND answered_at <= @until
),

shadowed AS (
  SELECT
    answer,
    (
      SELECT said.prob FROM UNNEST(predicted_{{ policy.label }}_probs) AS said
      WHERE LOWER(CAST(said.label AS STRING)) = LOWER('{{ policy.positive }}')
    ) AS probability
  FROM ML.PREDICT(MODEL {{ shadow.model }}, TABLE answered)  -- noqa: CP02
)

SELECT
  COUNT(*) AS compared_pairs,
  COUNTIF(answer != (probability >= @shadow_threshold)) AS disagreements
FROM shadowed
