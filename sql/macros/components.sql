{#
  Connected components without recursion: in every round each member takes the least label among its neighbours, so that
  after @rounds rounds all within that many steps of the least member share its label. Links must hold both directions and
  each member with itself. Every round reads the one before once: BigQuery computes the chain in one pass a round. Labels
  are integers: text takes an engine several times as long to compare.
#}

{# CTEs `round_1` to `round_<rounds>` (member, label). The file has `round_0`: each member with a label of its own. #}
{% macro spread(links, rounds) -%}
-- The least label of those next to each, round by round.
{% for round in range(1, rounds + 1) %}

round_{{ round }} AS (
  SELECT
    link.member,
    MIN(near.label) AS label,
  FROM {{ links }} AS link
  INNER JOIN round_{{ round - 1 }} AS near
    ON link.neighbour = near.member
  GROUP BY link.member
){{ ',' if not loop.last }}
  {% endfor %}
{%- endmacro %}
