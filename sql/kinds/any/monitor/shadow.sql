{% import 'macros/answers.sql' as answers %}
{% import 'macros/served.sql' as served %}
/*
What another version would have said to the rows that one version answered. One row.

In a rollout the champion shadows the challenger; before one, the challenger shadows the champion. The shadow is given the
features as they were logged, so it costs no request and nobody waits for it.
Variables: {% raw %}{{ shadow.model }}, {{ shadow.features }} (name and BigQuery type of each feature of that model){% endraw %}.
Parameters: @since, @until (the window), @version (whose answers); @shadow_threshold for a classification, whose answer is
yes or no; @tolerated_difference for a regression, in the unit of the label. Read by: deployment/rollout.py.
*/
WITH answered AS (
  SELECT
    inference_id,
    {{ 'prediction' if policy.task == 'regression' else 'probability >= threshold' }} AS answer,
    {{ served.features(shadow.features) }}
  FROM {{ table.inferences }}
  WHERE
    model = @model
    AND version = @version
    AND {{ answers.said(policy) }} IS NOT NULL
    -- A text that holds JSON has no members: without this, a log written so would look like disagreement.
    AND STARTS_WITH(TO_JSON_STRING(features), '{')
    AND answered_at > @since
    AND answered_at <= @until
),

shadowed AS (
  SELECT
    answer,
    {{ answers.of_row(policy) }} AS {{ answers.said(policy) }}
  FROM ML.PREDICT(MODEL {{ shadow.model }}, TABLE answered)  -- noqa: CP02
)

SELECT
  COUNT(*) AS compared_pairs,
  {% if policy.task == 'regression' %}
  COUNTIF(ABS(answer - prediction) > @tolerated_difference) AS disagreements
  {% else %}
  COUNTIF(answer != (probability >= @shadow_threshold)) AS disagreements
  {% endif %}
FROM shadowed
