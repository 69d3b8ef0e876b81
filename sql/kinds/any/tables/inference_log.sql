/*
  What the prediction service answered, for all models of the environment: one row per row that it scored. Of a model of
  pairs that is a pair, and a request for which no candidate was found has one row without a pair. Append-only.

  A BigQuery subscription writes it (use_table_schema): the keys of the service's messages are these columns. Pub/Sub
  delivers at least once; the view `inferences` holds each `inference_id` once. There is nothing of what came in beyond
  keys and the features as they were. monitor/forget.sql drops rows older than `retention.inference_log_days` of
  model.yml.

  Read by inferences, and through it by monitor/ and the review queue.
*/
CREATE TABLE IF NOT EXISTS {{ table.inference_log }} (
  inference_id STRING NOT NULL OPTIONS (description = 'Request and row: the same inference has the same id'),
  request_id STRING NOT NULL OPTIONS (description = 'The id that the caller was given'),
  answered_at TIMESTAMP NOT NULL OPTIONS (description = 'When the service answered'),
  route STRING NOT NULL OPTIONS (description = 'predict, score or duplicates'),
  model STRING NOT NULL OPTIONS (description = 'The continuously trained model, a folder under sql/'),
  version STRING OPTIONS (description = 'Version in the registry that answered; NULL where nothing was asked of one'),
  deployed_model_id STRING OPTIONS (description = 'Deployed model at the endpoint that answered'),
  run_id STRING OPTIONS (description = 'The run that trained the version'),
  row_keys JSON OPTIONS (description = 'Keys of the row that was asked about; NULL for a model of pairs'),
  left_source STRING OPTIONS (description = 'Of a model of pairs: source of the one; NULL where none was found'),
  left_id STRING OPTIONS (description = 'ID of the one'),
  right_source STRING OPTIONS (description = 'Source of the other'),
  right_id STRING OPTIONS (description = 'ID of the other'),
  features JSON OPTIONS (description = 'The features as they were sent to the endpoint, an object keyed by name'),
  probability FLOAT64 OPTIONS (description = 'What the version of a classification says: 0 to 1'),
  prediction FLOAT64 OPTIONS (description = 'What the version of a regression says, in the unit of the label'),
  threshold FLOAT64 OPTIONS (description = 'From this probability on the version says yes'),
  is_duplicate BOOL OPTIONS (description = 'Of a model of pairs, the answer: probability at or above threshold'),
  candidates INT64 OPTIONS (description = 'Candidate pairs that were found in this request; NULL for other routes'),
  latency_ms FLOAT64 OPTIONS (description = 'From the arrival of the request to this record, milliseconds'),
  endpoint_ms FLOAT64 OPTIONS (description = 'The share of it that the endpoint took, milliseconds')
)
PARTITION BY DATE(answered_at)
CLUSTER BY version, left_source, left_id
OPTIONS (description = 'Predictions of the service: one row per row that was scored')
