/*
  Make labels of what people said. Runs after each verdict and may run at any time: a pair whose settled verdict is the
  label that it has already gets no second one.

  The rule. Of one person on one pair the latest verdict counts. The majority of persons settles a pair; a tie leaves
  it open. A pair that one person alone has judged becomes a label only while that person stays within @labels_per_voice
  such labels a day: beyond them somebody else has to agree. The model's own answers are never labels: only what people
  said is read.

  Reads feedback, labels. Written to: labels.
*/
INSERT INTO {{ table.labels }} (
  left_source, left_id, right_source, right_id, is_duplicate, labelled_by, labelled_at, origin, ingested_at
)
WITH last_words AS (
  SELECT *
  FROM {{ table.feedback }}
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY left_source, left_id, right_source, right_id, given_by ORDER BY given_at DESC, feedback_id DESC
  ) = 1
),

settled AS (
  SELECT
    left_source,
    left_id,
    right_source,
    right_id,
    COUNTIF(word.is_duplicate) > COUNTIF(NOT word.is_duplicate) AS is_duplicate,
    COUNT(*) AS voices,
    MIN(given_by) AS first_voice,
    MAX(given_at) AS given_at,
    LOGICAL_OR(origin = 'review') AS was_asked
  FROM last_words AS word
  GROUP BY left_source, left_id, right_source, right_id
  HAVING COUNTIF(word.is_duplicate) != COUNTIF(NOT word.is_duplicate)
),

heard AS (
  SELECT *
  FROM settled
  WHERE TRUE
  QUALIFY
    voices > 1
    OR SUM(IF(voices = 1, 1, 0)) OVER (
      PARTITION BY first_voice, DATE(given_at)
      ORDER BY given_at, left_source, left_id, right_source, right_id
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) <= @labels_per_voice
),

newest_labels AS (
  SELECT *
  FROM {{ table.labels }}
  WHERE origin IN ('feedback', 'review')
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY left_source, left_id, right_source, right_id ORDER BY ingested_at DESC
  ) = 1
)

SELECT
  heard.left_source,
  heard.left_id,
  heard.right_source,
  heard.right_id,
  heard.is_duplicate,
  IF(heard.voices = 1, heard.first_voice, CONCAT(CAST(heard.voices AS STRING), ' voices')) AS labelled_by,
  heard.given_at AS labelled_at,
  IF(heard.was_asked, 'review', 'feedback') AS origin,
  CURRENT_TIMESTAMP() AS ingested_at
FROM heard
LEFT JOIN newest_labels AS known
  ON
    heard.left_source = known.left_source
    AND heard.left_id = known.left_id
    AND heard.right_source = known.right_source
    AND heard.right_id = known.right_id
    AND heard.is_duplicate = known.is_duplicate
WHERE known.left_id IS NULL
