"""What the programs of pairs and of single rows say to DuckDB alike: frozen tables, and statements of steps without parameters."""

from __future__ import annotations

from typing import Any

import duckdb
import pyarrow as pa
from sqlglot import exp

from etl.errors import ConfigurationError
from etl.model_policy import ModelPolicy
from functions.service.rendering import AS_OF


def add_table(database: duckdb.DuckDBPyConnection, name: str, table: pa.Table) -> None:
    """Keep a copy of an Arrow table in the database."""
    database.register("arriving", table)
    database.execute(f'CREATE TABLE "{name}" AS SELECT * FROM arriving')
    database.unregister("arriving")


def bound(query: exp.Query, policy: ModelPolicy) -> exp.Query:
    """The query, in place, with `@as_of` and the policy's parameters as constants.

    Raises:
        ConfigurationError: It uses another parameter.
    """
    for parameter in list(query.find_all(exp.Parameter)):
        name = parameter.name
        if name == "as_of":
            constant = f"TIMESTAMP '{AS_OF}'"
        elif name in policy.parameters:
            constant = _constant(policy.parameters[name])
        else:
            raise ConfigurationError(f"a feature uses @{name}, which the service does not know; see model.yml")
        parameter.replace(exp.maybe_parse(constant, dialect="duckdb"))
    return query


def step(name: str, query: str) -> str:
    """A query as a common table expression that is computed once."""
    return f'"{name}" AS MATERIALIZED ({query})'


def _constant(value: Any) -> str:
    """A policy parameter as a DuckDB literal: text quoted, booleans and numbers as they are."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_constant(v) for v in value) + "]"
    return repr(value)
