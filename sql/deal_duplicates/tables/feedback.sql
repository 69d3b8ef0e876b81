/*
  What people said about the service's answers, one row per verdict, all of them kept. Append-only.

  A verdict becomes a label by serve/labels_from_feedback.sql, which says how contradictory verdicts and loud voices are
  dealt with. `given_by` is whatever the caller calls its people; it is asked to be a pseudonym.

  Written by serve/insert_feedback.sql. Read by serve/labels_from_feedback.sql, review_queue and monitor/.
*/
CREATE TABLE IF NOT EXISTS {{ table.feedback }} (
  feedback_id STRING NOT NULL OPTIONS (description = 'The same verdict sent twice has the same id'),
  given_at TIMESTAMP NOT NULL OPTIONS (description = 'When the service learned of it'),
  left_source STRING NOT NULL OPTIONS (description = 'Source of the deal that sorts first by source and id'),
  left_id STRING NOT NULL OPTIONS (description = 'deal_id of that deal'),
  right_source STRING NOT NULL OPTIONS (description = 'Source of the other deal'),
  right_id STRING NOT NULL OPTIONS (description = 'deal_id of the other deal'),
  is_duplicate BOOL NOT NULL OPTIONS (description = 'The verdict'),
  given_by STRING NOT NULL OPTIONS (description = 'Who says so'),
  reason STRING OPTIONS (description = 'Why, in their words'),
  request_id STRING OPTIONS (description = 'The answer that it is about, where there was one'),
  origin STRING NOT NULL OPTIONS (description = 'feedback: unasked; review: asked through the review queue')
)
PARTITION BY DATE(given_at)
CLUSTER BY left_source, left_id
OPTIONS (description = 'Verdicts on answers of the service: one row per verdict')
