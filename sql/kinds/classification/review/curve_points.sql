/*
The validation curves, thinned to at most 200 points a model, equally far apart along the ROC curve. One row per point.
Read by: `bqloop review`.
*/
SELECT
  name,
  ROUND(200 * (COALESCE(recall, 0) + COALESCE(false_positive_rate, 0)) / 2) AS step,
  MIN(threshold) AS threshold,
  MIN(`precision`) AS `precision`,
  MAX(recall) AS recall,
  MAX(false_positive_rate) AS false_positive_rate
FROM {{ run_table.curve }}
WHERE split = 'validation'
GROUP BY name, step
ORDER BY name, step
