"""A table made of a query keeps BigQuery's whole numbers: DuckDB's sums and counts are HUGEINT, BigQuery's INT64.

bqemulator takes a HUGEINT column for NUMERIC when it reads a table's rows, so the column is cast before it is stored.
A sum beyond INT64 fails, as on BigQuery.
"""

from collections.abc import Mapping
from typing import Any

import duckdb
import sqlglot
from sqlglot import exp


def store_as_int64(duckdb_sql: str, values: Mapping[str, Any] | None, connection: duckdb.DuckDBPyConnection) -> str:
    """A `CREATE TABLE ... AS` in DuckDB's SQL with its HUGEINT columns cast to BIGINT; any other statement as it is."""
    tree = sqlglot.parse_one(duckdb_sql, dialect="duckdb")
    if not isinstance(tree, exp.Create) or not isinstance(tree.expression, exp.Query):
        return duckdb_sql
    if str(tree.args.get("kind")).upper() != "TABLE":
        return duckdb_sql
    query = tree.expression.sql(dialect="duckdb")
    stored = query_as_int64(query, values, connection)
    if stored == query:
        return duckdb_sql
    if query in duckdb_sql:
        return duckdb_sql[: duckdb_sql.index(query)] + stored
    tree.set("expression", sqlglot.parse_one(stored, dialect="duckdb"))
    return tree.sql(dialect="duckdb")


def query_as_int64(query: str, values: Mapping[str, Any] | None, connection: duckdb.DuckDBPyConnection) -> str:
    """A query in DuckDB's SQL with its HUGEINT columns cast to BIGINT; as it is, if it has none."""
    described = connection.execute(f"DESCRIBE {query}", values or None).fetchall()
    wide = [column for column, kind, *_ in described if kind == "HUGEINT"]
    if not wide:
        return query
    casts = ", ".join(f"CAST({_quoted(c)} AS BIGINT) AS {_quoted(c)}" for c in wide)
    return f"SELECT * REPLACE ({casts}) FROM ({query})"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
