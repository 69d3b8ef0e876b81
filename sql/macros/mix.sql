{% import 'macros/answers.sql' as answers %}
{#
  The share of positives among rows that nobody has labelled, by what a model says of them.

  Of all shares in thousandths the likeliest, given that the model's probabilities hold for the share that it was trained
  on. Saerens, Latinne and Decaestecker (2002) come to the same by expectation maximisation.
#}

{# CTEs, `estimated` (name, rate) the last of them, with a comma behind: a share for every candidate. #}
{% macro estimated(scored, policy, training, asked) -%}
trained AS (
  SELECT COUNTIF({{ answers.of_label(policy) }}) / COUNT(*) AS rate
  FROM {{ training }}
),

said AS (
  {% for entry in scored if entry.name != 'champion' %}
    SELECT
      '{{ entry.name }}' AS name,
      ROUND({{ answers.of_row(policy) }}, 3) AS probability
    FROM ML.PREDICT(MODEL {{ entry.model }}, TABLE {{ asked }})  -- noqa: CP02
    {% if not loop.last %}UNION ALL{% endif %}

  {% endfor %}
),

levels AS (
  SELECT
    name,
    probability,
    COUNT(*) AS asked
  FROM said
  WHERE probability IS NOT NULL
  GROUP BY name, probability
),

shares AS (
  SELECT thousandth / 1000 AS rate
  FROM UNNEST(GENERATE_ARRAY(1, 999)) AS thousandth
),

likelihoods AS (
  SELECT
    levels.name,
    shares.rate,
    SUM(levels.asked * LN(
      SAFE_DIVIDE(shares.rate * levels.probability, trained.rate)
      + SAFE_DIVIDE((1 - shares.rate) * (1 - levels.probability), 1 - trained.rate)
    )) AS likelihood
  FROM levels
  CROSS JOIN trained
  CROSS JOIN shares
  GROUP BY levels.name, shares.rate
),

estimated AS (
  SELECT
    name,
    rate
  FROM likelihoods
  WHERE likelihood IS NOT NULL
  QUALIFY ROW_NUMBER() OVER (PARTITION BY name ORDER BY likelihood DESC, rate ASC) = 1
),
{%- endmacro %}
