/*
One link of the chain of champions: which version follows which. Whoever inserts the job of that link decides: a job ID
can be used once in a project. The aliases in Vertex AI, which knows no compare-and-set, are then made to follow.
*/
SELECT
  @version AS version,
  @instead_of AS instead_of,
  @claimant AS claimant
