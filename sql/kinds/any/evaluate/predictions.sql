{% import 'macros/answers.sql' as answers %}
{% import 'macros/keys.sql' as keys %}
/*
Scores the champion and every candidate on the same rows, in one statement. One row per model, split and labelled row.

Rows, labels and entity groups are those of this run for everyone; a model's own tables supply its features only, so a
row that a model does not score stays in, without an answer, and the gate sees it.
Read by: all that stands beside this file. The test split is reported and never used to choose anything.
*/
CREATE OR REPLACE TABLE {{ run_table.predictions }} AS
WITH judged AS (
  {% for split, rows in [('validation', run_table.validation_set), ('test', run_table.test_set)] %}
    SELECT
      '{{ split }}' AS split,
      {{ policy.keys | join(', ') }},
      {{ policy.group }} AS entity_group,
      {{ answers.of_label(policy) }} AS {{ answers.truth(policy) }}
    FROM {{ rows }}
    {% if not loop.last %}UNION ALL{% endif %}

  {% endfor %}
),

scores AS (
  {% for entry in scored %}
    {% for split, rows in [('validation', entry.validation), ('test', entry.test)] %}
      SELECT
        '{{ entry.name }}' AS name,
        '{{ split }}' AS split,
        {{ policy.keys | join(', ') }},
        {{ answers.of_row(policy) }} AS {{ answers.said(policy) }}
      FROM ML.PREDICT(MODEL {{ entry.model }}, TABLE {{ rows }})  -- noqa: CP02
      {% if not loop.last %}UNION ALL{% endif %}

    {% endfor %}
    {% if not loop.last %}UNION ALL{% endif %}

  {% endfor %}
),

models AS (
  SELECT DISTINCT name
  FROM scores
)

SELECT
  models.name,
  judged.split,
  judged.{{ policy.keys | join(', judged.') }},
  judged.entity_group,
  judged.{{ answers.truth(policy) }},
  IF(IS_NAN(scores.{{ answers.said(policy) }}), NULL, scores.{{ answers.said(policy) }}) AS {{ answers.said(policy) }}
FROM judged
CROSS JOIN models
LEFT JOIN scores
  ON
    models.name = scores.name
    AND judged.split = scores.split
    AND {{ keys.equal(policy.keys, 'judged', 'scores') }}
