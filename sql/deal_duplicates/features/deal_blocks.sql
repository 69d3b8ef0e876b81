{% import 'macros/days.sql' as days %}
{% set scoring = earlier | default(none) %}
/*
  The index by which deals find each other. One row per deal and usable key.

  A key that leads to more than @block_size deals tells too little. `place` puts the deals of a block in the order of
  their coming, so that a block stays cheap however large it grows between two trainings; in scoring it goes on where
  the run before ended.

  Reads deal_keys, key_stats (frozen), clean_deals. Read by candidate_pairs.
*/
CREATE OR REPLACE TABLE {{ run_table.deal_blocks }}
CLUSTER BY key AS
{% if scoring and scoring.runs %}
  WITH before AS (
    SELECT
      key,
      COUNT(*) AS deals
    FROM ({{ days.before(run_table.deal_blocks, scoring) }}) AS held
    WHERE key IN (SELECT key FROM {{ run_table.deal_keys }})
    GROUP BY key
  )

{% endif %}
SELECT
  held.deal_key,
  deal.source,
  deal.seen_on,
  held.key,
  held.weight,
  {{ 'COALESCE(before.deals, 0) + ' if scoring and scoring.runs -}}
  ROW_NUMBER() OVER (PARTITION BY held.key ORDER BY deal.seen_on, held.deal_key) AS place
FROM {{ run_table.deal_keys }} AS held
INNER JOIN {{ run_table.clean_deals }} AS deal
  ON held.deal_key = deal.deal_key
LEFT JOIN {{ run_table.key_stats }} AS stats
  ON held.key = stats.key
{% if scoring and scoring.runs %}
  LEFT JOIN before
    ON held.key = before.key
{% endif %}
WHERE COALESCE(stats.deals, 1) <= @block_size
