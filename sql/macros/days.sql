{#
  Scoring day by day: what earlier runs of the champion have built stands, and a run adds what is new.

  `earlier` is given in scoring alone: the run's slug, and the slugs of the runs before it, oldest first. Where it is not
  given (training, the prediction service), or where the run is the first, a table is the run's own.
#}

{# The rows of a run table, those of earlier runs among them. #}
{% macro united(table, earlier) -%}
  {%- if earlier and earlier.runs -%}
(
      SELECT * FROM {{ table }}
      UNION ALL
      {{ before(table, earlier) }}
    )
{%- else -%}
    {{ table }}
  {%- endif %}
{%- endmacro %}

{# The rows of earlier runs alone, as a query. #}
{% macro before(table, earlier) -%}
  {% for run in earlier.runs %}
SELECT * FROM {{ table | replace('__' ~ earlier.slug ~ '__', '__' ~ run ~ '__') }}{{ ' UNION ALL' if not loop.last }}
  {% endfor %}
{%- endmacro %}

{# From `pairs` of all days, as `pair`, those whose deals no later version has taken the place of. #}
{% macro in_force(pairs, superseded, earlier) %}
FROM {{ united(pairs, earlier) }} AS pair
LEFT JOIN {{ superseded }} AS left_old
  ON pair.left_key = left_old.deal_key
LEFT JOIN {{ superseded }} AS right_old
  ON pair.right_key = right_old.deal_key
WHERE left_old.deal_key IS NULL AND right_old.deal_key IS NULL
{% endmacro %}

{# Of the rows of all days, those of the day's pairs' deals: a condition, for a table that is joined more than once. #}
{% macro of_pairs(pairs, earlier) -%}
  {%- if earlier and earlier.runs -%}
    AND deal_key IN (SELECT left_key FROM {{ pairs }} UNION ALL SELECT right_key FROM {{ pairs }})
  {%- endif -%}
{%- endmacro %}
