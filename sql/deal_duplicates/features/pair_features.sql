{% import 'macros/context.sql' as context %}
/*
  All features of a pair: its own signals and how it stands among its rivals. One row per pair.

  Rivals are ranked by an unlearned likeness, so that ranks mean the same for every model and every run.

  Reads pair_signals. Read by training_features, validation_set, test_set, predict/ and the prediction service.
*/
CREATE OR REPLACE TABLE {{ run_table.pair_features }} AS
WITH scored AS (
  SELECT
    *,
    title_cosine + text_cosine + pair_cosine + gram_cosine AS likeness,
    rarest_shared_anywhere - rarest_left_only - rarest_right_only AS rareness,
    left_title_found + right_title_found AS found,
    title_edit AS spelling
  FROM {{ run_table.pair_signals }}
),

ranked AS (
  SELECT
    *,
    {% for score in ['likeness', 'rareness', 'found', 'spelling'] %}
    {{ context.rank('left', score) }} AS left_{{ score }}_rank,
    {{ context.rank('right', score) }} AS right_{{ score }}_rank,
    {{ context.margin('left', score) }} AS left_{{ score }}_margin,
    {{ context.margin('right', score) }} AS right_{{ score }}_margin,
    {% endfor %}
  FROM scored
)

SELECT
  * EXCEPT (likeness, rareness, found, spelling),
  -- Each is the other's best: with shops that list a thing once, hardly ever an accident.
  {% for score in ['likeness', 'rareness', 'found', 'spelling'] %}
  LEAST(left_{{ score }}_margin, right_{{ score }}_margin) AS {{ score }}_margin,
  CAST(left_{{ score }}_rank = 1 AND right_{{ score }}_rank = 1 AS INT64) AS {{ score }}_mutual_best,
  {% endfor %}
FROM ranked
