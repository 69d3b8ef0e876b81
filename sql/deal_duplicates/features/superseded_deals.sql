{% import 'macros/days.sql' as days %}
/*
  The versions of deals that a later version has taken the place of, and when. One row per such version.

  Only scoring has several versions of a deal: one that was compared is kept for the sake of those that it was compared
  with, but new deals no longer meet it, and its pairs are not shown.

  Reads clean_deals. Read by candidate_pairs, current_pairs and pair_verdicts.
*/
CREATE OR REPLACE TABLE {{ run_table.superseded_deals }} AS
SELECT
  deal_key,
  LEAD(seen_on) OVER (PARTITION BY source, deal_id ORDER BY seen_on) AS superseded_on
FROM {{ days.united(run_table.clean_deals, earlier | default(none)) }}
WHERE TRUE
QUALIFY LEAD(seen_on) OVER (PARTITION BY source, deal_id ORDER BY seen_on) IS NOT NULL
