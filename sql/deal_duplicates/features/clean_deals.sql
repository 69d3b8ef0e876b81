{% import 'macros/text.sql' as text %}
{% import 'macros/money.sql' as money %}
{% import 'macros/days.sql' as days %}
{% set scoring = earlier | default(none) %}
/*
  The deals as the features see them: the latest version of each as of @as_of, normalised. One row per deal.

  `deal_key` stands for (source, deal_id) in all joins: eight bytes instead of two strings. `attributes` are left out
  on purpose: they hold whatever a source sends, its own cluster or product numbers among it, which would give labels
  away.

  What a check of severity `quarantine` found is left out of the run.

  `seen_on` is the day of its coming. Scoring goes on from where the run before it ended, @previous: there one row is a
  version as a run saw it, `deal_key` stands for the version, `seen_on` is the instant of the first of @rounds that saw
  it, and only versions that no earlier run has seen are listed. Rows that land up to a day late are still found.

  Reads raw_deals, quarantined_rows. Read by all that follows, and by the prediction service for the deals that it is
  asked about.
*/
CREATE OR REPLACE TABLE {{ run_table.clean_deals }}
CLUSTER BY deal_key AS
WITH latest AS (
  SELECT
  {% if scoring %}
      (SELECT MIN(instant) FROM UNNEST(@rounds) AS instant WHERE instant >= came.ingested_at) AS round,
  {% endif %}
    *
  FROM {{ table.raw_deals }} AS came
  WHERE
    came.ingested_at <= @as_of
  {% if scoring and scoring.runs %}
      AND came.ingested_at > TIMESTAMP_SUB(@previous, INTERVAL 1 DAY)
      AND NOT EXISTS (
        SELECT 1 FROM ({{ days.before(run_table.clean_deals, scoring) }}) AS known
        WHERE known.source = came.source AND known.deal_id = came.deal_id AND known.ingested_at >= came.ingested_at
      )
  {% endif %}
  {% if quarantined is defined and quarantined %}
      AND NOT EXISTS (
        SELECT 1 FROM {{ table.quarantined_rows }} AS kept_out
        WHERE
          kept_out.run_id = @run_id
          AND kept_out.source = came.source
          AND kept_out.deal_id = came.deal_id
          AND kept_out.ingested_at = came.ingested_at
      )
  {% endif %}
  QUALIFY ROW_NUMBER() OVER (PARTITION BY source, deal_id{{ ', round' if scoring }} ORDER BY ingested_at DESC) = 1
)

SELECT
  {% if scoring %}
    FARM_FINGERPRINT(CONCAT(source, '\n', deal_id, '\n', CAST(UNIX_MICROS(ingested_at) AS STRING))) AS deal_key,
    round AS seen_on,
    ingested_at,
  {% else %}
    FARM_FINGERPRINT(CONCAT(source, '\n', deal_id)) AS deal_key,
    DATE(ingested_at) AS seen_on,
  {% endif %}
  source,
  deal_id,
  {{ text.normalise('title') }} AS title,
  {{ text.normalise("SUBSTR(COALESCE(description, ''), 1, 1000)") }} AS description,
  NULLIF({{ text.normalise('brand') }}, '') AS brand,
  NULLIF({{ text.squash('model_number') }}, '') AS model_number,
  {{ text.squash("CONCAT(title, ' ', COALESCE(model_number, ''), ' ', SUBSTR(COALESCE(description, ''), 1, 1000))") }}
    AS squashed_text,
  {{ text.plain("CONCAT(title, ' ', COALESCE(model_number, ''))") }} AS plain_title,
  NULLIF({{ text.normalise('category') }}, '') AS category,
  NULLIF({{ text.normalise('merchant') }}, '') AS merchant,
  REGEXP_EXTRACT(LOWER(url), r'^(?:https?://)?(?:www\.)?([^/?#]+)') AS url_host,
  REGEXP_EXTRACT(LOWER(url), r'^(?:https?://)?[^/?#]+([^?#]*[^?#/])/?') AS url_path,
  {{ money.in_dollars('price', 'currency') }} AS price,
  {{ money.in_dollars('list_price', 'currency') }} AS list_price,
  currency,
  DATE(starts_at) AS starts_on,
  DATE(ends_at) AS ends_on
FROM latest
