/*
  The different rows of some columns of a table: what blocking asks of all known deals at once. Rendered by the
  prediction service, which puts in the table (`summarised_table`) and the columns (`summarised_columns`).
*/
SELECT DISTINCT {{ summarised_columns | join(', ') }}
FROM {{ summarised_table }}
