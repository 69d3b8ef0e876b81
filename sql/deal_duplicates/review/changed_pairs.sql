/*
Pairs of the validation split of which a candidate says otherwise than the champion. One row per pair: the @examples
whose probability moved most of those that it gets right now, and as many that it gets wrong; `of_kind` counts all.
Parameters: @candidate, @examples. Read by: `bqloop try`.
*/
WITH titles AS (
  SELECT
    source,
    deal_id,
    title
  FROM {{ table.raw_deals }}
  WHERE ingested_at <= @as_of
  QUALIFY ROW_NUMBER() OVER (PARTITION BY source, deal_id ORDER BY ingested_at DESC) = 1
),

changed AS (
  SELECT
    {% for key in policy.keys %}
      mine.{{ key }},
    {% endfor %}
    mine.is_positive,
    theirs.probability AS champion_probability,
    mine.probability AS candidate_probability,
    mine.is_true_positive OR mine.is_true_negative AS is_right_now
  FROM {{ run_table.outcomes }} AS mine
  INNER JOIN {{ run_table.outcomes }} AS theirs
    ON
      mine.split = 'validation'
      AND mine.name = @candidate
      AND theirs.name = 'champion'
      AND mine.split = theirs.split
      AND (mine.probability >= mine.threshold) != (theirs.probability >= theirs.threshold)
      {% for key in policy.keys %}
        AND mine.{{ key }} = theirs.{{ key }}
      {% endfor %}
)

SELECT
  changed.*,
  one.title AS left_title,
  two.title AS right_title,
  COUNT(*) OVER (PARTITION BY changed.is_right_now) AS of_kind,
  ROW_NUMBER() OVER (
    PARTITION BY changed.is_right_now
    ORDER BY ABS(changed.candidate_probability - changed.champion_probability) DESC, {{ policy.keys | join(', ') }}
  ) AS place
FROM changed
LEFT JOIN titles AS one ON changed.left_source = one.source AND changed.left_id = one.deal_id
LEFT JOIN titles AS two ON changed.right_source = two.source AND changed.right_id = two.deal_id
QUALIFY place <= @examples
ORDER BY is_right_now DESC, place ASC
