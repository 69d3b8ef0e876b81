{% import 'macros/rivals.sql' as rivals %}
/*
  Each pair as either of its deals sees it: the other deal with its source and seller, and the scores. Two rows per
  pair.

  Reads pair_scores. Read by pair_context.
*/
CREATE OR REPLACE TABLE {{ run_table.pair_sides }}
CLUSTER BY mine AS
{% for mine, other in [('left', 'right'), ('right', 'left')] %}
  SELECT
    {{ mine }}_key AS mine,
    {{ other }}_key AS other,
    {{ other }}_source AS source,
    {{ other }}_seller AS seller,
    {% for score in rivals.scores %}
      {{ score }},
    {% endfor %}
    met_on
  FROM {{ run_table.pair_scores }}
  {{ 'UNION ALL' if not loop.last }}
{% endfor %}
