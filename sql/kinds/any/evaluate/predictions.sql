/*
Scores the champion and every candidate on the same rows, in one statement. One row per model, split and labelled pair.

Rows, labels and entity groups are those of this run for everyone; a model's own tables supply its features only, so a
row that a model does not score stays in, without a probability, and the gate sees it.
Read by: all that stands beside this file. The test split is reported and never used to choose anything.
*/
CREATE OR REPLACE TABLE {{ run_table.predictions }} AS
WITH judged AS (
  {% for split, rows in [('validation', run_table.validation_set), ('test', run_table.test_set)] %}
    SELECT
      '{{ split }}' AS split,
      {{ policy.keys | join(', ') }},
      {{ policy.group }} AS entity_group,
      LOWER(CAST({{ policy.label }} AS STRING)) = LOWER('{{ policy.positive }}') AS is_positive
    FROM {{ rows }}
    {% if not loop.last %}UNION ALL{% endif %}

  {% endfor %}
),

answers AS (
  {% for entry in scored %}
    {% for split, rows in [('validation', entry.validation), ('test', entry.test)] %}
      SELECT
        '{{ entry.name }}' AS name,
        '{{ split }}' AS split,
        {{ policy.keys | join(', ') }},
        (
          SELECT answer.prob FROM UNNEST(predicted_{{ policy.label }}_probs) AS answer
          WHERE LOWER(CAST(answer.label AS STRING)) = LOWER('{{ policy.positive }}')
        ) AS probability
      FROM ML.PREDICT(MODEL {{ entry.model }}, TABLE {{ rows }})  -- noqa: CP02
      {% if not loop.last %}UNION ALL{% endif %}

    {% endfor %}
    {% if not loop.last %}UNION ALL{% endif %}

  {% endfor %}
),

models AS (
  SELECT DISTINCT name
  FROM answers
)

SELECT
  models.name,
  judged.split,
  {% for key in policy.keys %}
    judged.{{ key }},
  {% endfor %}
  judged.entity_group,
  judged.is_positive,
  IF(IS_NAN(answers.probability), NULL, answers.probability) AS probability
FROM judged
CROSS JOIN models
LEFT JOIN answers
  ON
    models.name = answers.name
    AND judged.split = answers.split
    {% for key in policy.keys %}
      AND judged.{{ key }} = answers.{{ key }}
    {% endfor %}
