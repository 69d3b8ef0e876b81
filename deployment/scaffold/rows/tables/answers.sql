/*
  What the champion says of every row, renewed by each batch scoring. One row per row.

  Written by predict/row_answers.sql. Read by people.
*/
CREATE TABLE IF NOT EXISTS {{ table.${name}_answers }} (
${key_columns},
  ${said} FLOAT64 OPTIONS (description = '${said_description}'),
  version STRING OPTIONS (description = 'Version in the registry that says so'),
  run_id STRING OPTIONS (description = 'The run that scored'),
  scored_at TIMESTAMP OPTIONS (description = 'The instant as of which it saw the rows')
)
CLUSTER BY ${keys}
OPTIONS (description = 'What the champion of ${name} says of every row')
