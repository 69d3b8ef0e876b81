/*
One turn of a model's runs. Whoever inserts the job of that turn has it: a job ID can be used once in a project.
*/
SELECT
  @run_id AS run_id,
  @turn AS turn
