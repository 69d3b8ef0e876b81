/*
  Writes what the champion says about each point. One row per point, renewed by every run.
*/
MERGE {{ table.point_scores }} AS had
USING (
  SELECT
    point_id,
    (SELECT each.prob FROM UNNEST(predicted_is_far_probs) AS each WHERE each.label) AS probability
  FROM ML.PREDICT(MODEL {{ champion.model }}, TABLE {{ run_table.known_points }})
) AS new
  ON had.point_id = new.point_id
WHEN MATCHED THEN UPDATE SET probability = new.probability, run_id = @run_id
WHEN NOT MATCHED THEN INSERT (point_id, probability, run_id) VALUES (new.point_id, new.probability, @run_id)
