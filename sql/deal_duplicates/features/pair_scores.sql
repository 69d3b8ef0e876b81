/*
  Unlearned scores by which a pair is ranked among its rivals. One row per pair.

  Unlearned, so that a rank means the same for every model and every run; several, because what tells rivals apart
  differs.

  Reads pair_signals. Read by pair_context.
*/
CREATE OR REPLACE TABLE {{ run_table.pair_scores }} AS
SELECT
  left_key,
  right_key,
  left_source,
  right_source,
  left_seller,
  right_seller,
  title_cosine + text_cosine + pair_cosine + gram_cosine AS likeness,
  rarest_shared_anywhere - rarest_alone_lesser - rarest_alone_greater AS rareness,
  titles_found AS found,
  title_edit AS spelling,
  longest_code_found * rarest_code_found AS code,
  price_ratio AS amount
FROM {{ run_table.pair_signals }}
