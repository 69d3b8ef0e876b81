{% import 'macros/served.sql' as served %}
{% set earlier = 'TIMESTAMP_SUB(@as_of, INTERVAL 5 * @days DAY)' %}
{% set recently = 'TIMESTAMP_SUB(@as_of, INTERVAL @days DAY)' %}
/*
  Is what the service sees changing? One row per feature.

  Compares the answers of the last @days days with those of the four times @days days before, whichever version gave
  them: Jensen-Shannon divergence, 0 to 1. Each side gets two rows more, the least and the greatest of either: the
  histograms that are compared then have the same edges, without which a feature that is nearly always the same would
  seem to move with each value that is new.

  Reads inferences. Read by the stage `monitor`, which asks for a retrain where it is past @drift_limit.
*/
SELECT
  'drift' AS finding,
  input AS subject,
  value,
  threshold,
  is_anomaly
FROM
  ML.VALIDATE_DATA_DRIFT(
    (
      {{ served.between(table.inferences, features, earlier, recently) }}
    ),
    (
      {{ served.between(table.inferences, features, recently, '@as_of') }}
    ),
    STRUCT(@drift_limit AS numerical_default_threshold)
  )
ORDER BY value DESC
