/*
  Unlearned scores by which a pair is ranked among its rivals. One row per pair.

  Unlearned, so that a rank means the same for every model and every run; several, because what tells rivals apart
  differs. Rounded, because sums of floats differ in their last digits from one engine to the next, and what is a tie
  in one has to be a tie in the other.

  Reads pair_signals. Read by pair_sides, pair_context.
*/
CREATE OR REPLACE TABLE {{ run_table.pair_scores }} AS
SELECT
  left_key,
  right_key,
  left_source,
  right_source,
  left_seller,
  right_seller,
  met_on,
  ROUND(title_cosine + text_cosine + pair_cosine + gram_cosine, 9) AS likeness,
  ROUND(rarest_shared_anywhere - rarest_alone_lesser - rarest_alone_greater, 9) AS rareness,
  ROUND(titles_found, 9) AS found,
  ROUND(title_edit, 9) AS spelling,
  ROUND(longest_code_found * rarest_code_found, 9) AS code,
  ROUND(price_ratio, 9) AS amount
FROM {{ run_table.pair_signals }}
