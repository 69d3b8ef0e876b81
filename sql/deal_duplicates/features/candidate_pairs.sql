{% import 'macros/similarity.sql' as similarity %}
{% import 'macros/days.sql' as days %}
{% set scoring = earlier | default(none) %}
/*
  The pairs worth a closer look. One row per pair, `left_key` the deal whose source and id sort first.

  Deals meet where they share a key and fewer than @block_reach others came between them. Each keeps its best by
  cosine over the shared keys and by price: @candidates_elsewhere of other sources, @candidates_within of its own, or
  @candidates_alone while there is one source only. Later deals choose among earlier ones and those of their own day (in
  scoring: of their own run), never the other way round: what was chosen yesterday stays, and a rebuild of all days
  gives the same rows as the days one by one.

  Reads deal_blocks, deal_norms, clean_deals, superseded_deals. Read by compared_pairs.
*/
CREATE OR REPLACE TABLE {{ run_table.candidate_pairs }} AS
WITH corpus AS (
  SELECT MAX(IF(place = 2, since, NULL)) AS second_source_on
  FROM (
    SELECT
      MIN(seen_on) AS since,
      ROW_NUMBER() OVER (ORDER BY MIN(seen_on), source) AS place
    FROM {{ days.united(run_table.clean_deals, scoring) }}
    GROUP BY source
  ) AS sources
),

met AS (
  SELECT
    mine.deal_key,
    other.deal_key AS other_key,
    ROUND(SUM(mine.weight * other.weight), 9) AS dot
  FROM {{ run_table.deal_blocks }} AS mine
  INNER JOIN {{ days.united(run_table.deal_blocks, scoring) }} AS other
    ON
      mine.key = other.key
      AND mine.deal_key != other.deal_key
      AND mine.seen_on >= other.seen_on
      AND ABS(mine.place - other.place) <= @block_reach
  {% if scoring %}
    LEFT JOIN {{ run_table.superseded_deals }} AS superseded
      ON other.deal_key = superseded.deal_key
    WHERE superseded.superseded_on IS NULL OR superseded.superseded_on > mine.seen_on
  {% endif %}
  GROUP BY mine.deal_key, other.deal_key
),

-- Apart from the ranking, so that what is sorted is narrow: keys and a number, no texts.
judged AS (
  SELECT
    met.deal_key,
    met.other_key,
    mine.source < other.source OR (mine.source = other.source AND mine.deal_id < other.deal_id) AS in_order,
    mine.source = other.source AS is_within,
    mine.seen_on,
    -- Rounded, as all that is ranked by: equals have to be equal in every engine.
    ROUND(
      met.dot / SQRT(norm.title_square + 1) * (0.5 + {{ similarity.ratio('mine.price', 'other.price') }}), 9
    ) AS score
  FROM met
  INNER JOIN {{ run_table.clean_deals }} AS mine
    ON met.deal_key = mine.deal_key
  INNER JOIN {{ days.united(run_table.clean_deals, scoring) }} AS other
    ON met.other_key = other.deal_key
  INNER JOIN {{ days.united(run_table.deal_norms, scoring) }} AS norm
    ON met.other_key = norm.deal_key
),

ranked AS (
  SELECT
    *,
    ROW_NUMBER() OVER (PARTITION BY deal_key, is_within ORDER BY score DESC, other_key ASC) AS place
  FROM judged
)

SELECT DISTINCT
  IF(ranked.in_order, ranked.deal_key, ranked.other_key) AS left_key,
  IF(ranked.in_order, ranked.other_key, ranked.deal_key) AS right_key
FROM ranked
CROSS JOIN corpus
WHERE
  ranked.place <= CASE
    WHEN corpus.second_source_on IS NULL OR ranked.seen_on < corpus.second_source_on THEN @candidates_alone
    WHEN ranked.is_within THEN @candidates_within
    ELSE @candidates_elsewhere
  END
