/*
  Keep one verdict. Its job ID is its feedback_id, so that a verdict which is sent twice is kept once.

  Parameters: the columns of feedback. Run by the prediction service.
*/
INSERT INTO {{ table.feedback }} (
  feedback_id,
  given_at,
  left_source,
  left_id,
  right_source,
  right_id,
  is_duplicate,
  given_by,
  reason,
  request_id,
  origin
)
VALUES (
  @feedback_id,
  CURRENT_TIMESTAMP(),
  @left_source,
  @left_id,
  @right_source,
  @right_id,
  @is_duplicate,
  @given_by,
  @reason,
  @request_id,
  @origin
)
