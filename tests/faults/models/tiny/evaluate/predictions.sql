/*
  Probability of every model for every point of both held-out splits. One row per model, split and point.
*/
CREATE OR REPLACE TABLE {{ run_table.predictions }} AS
{% for model in scored %}
  {% for split, points in [('validation', model.validation), ('test', model.test)] %}
SELECT
  '{{ model.name }}' AS name,
  '{{ split }}' AS split,
  point_id,
  is_far,
  (SELECT each.prob FROM UNNEST(predicted_is_far_probs) AS each WHERE each.label) AS probability
FROM ML.PREDICT(MODEL {{ model.model }}, TABLE {{ points }})
    {% if not loop.last %}UNION ALL
    {% endif %}
  {% endfor %}
  {% if not loop.last %}UNION ALL
  {% endif %}
{% endfor %}
