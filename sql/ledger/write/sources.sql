/*
Keeps the templates of a run under their hash, once. @paths and @contents stand side by side.
*/
INSERT INTO {{ ledger.sources }} (sql_sha, model, path, content, recorded_at)
SELECT
  @sql_sha,
  @model,
  path,
  content,
  CURRENT_TIMESTAMP()
FROM UNNEST(@paths) AS path WITH OFFSET AS path_position
INNER JOIN UNNEST(@contents) AS content WITH OFFSET AS content_position
  ON path_position = content_position
WHERE NOT EXISTS (
  SELECT 1
  FROM {{ ledger.sources }}
  WHERE sql_sha = @sql_sha
)
