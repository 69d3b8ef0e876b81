/*
  Drop predictions that are older than the policy keeps them (retention.inference_log_days of model.yml).
  Run by the stage `monitor`.
*/
DELETE FROM {{ table.inference_log }}
WHERE
  model = @model
  AND answered_at < TIMESTAMP_SUB(@as_of, INTERVAL @inference_log_days DAY)
