"""From DuckDB's and sqlglot's errors to BigQuery's, by bqemulator's own table of them, with a few lines of our own."""

from __future__ import annotations

import re

import duckdb
from bqemulator.domain.errors import DomainError
from bqemulator.jobs.error_mapper import translate_runtime_error
from sqlglot.errors import SqlglotError

from .errors import BigQueryError

_BAD_CAST = re.compile(r"Could not convert string '(?P<value>.*?)' to (?P<type>[A-Z0-9_() ,]+)")
_TYPE_NAMES = {
    "INT64": "int64",
    "BIGINT": "int64",
    "DOUBLE": "double",
    "BOOL": "bool",
    "BOOLEAN": "bool",
    "DECIMAL": "numeric",
}
_RAISED = re.compile(r"bqloop:(?P<reason>\w+):(?P<message>.*)")
"""How our mends raise BigQuery's own error from within DuckDB: `error('bqloop:invalidQuery:message')`."""


def domain_error(error: Exception, sql: str | None = None) -> DomainError:
    """The error that BigQuery would give for `error`, raised while `sql` (DuckDB's) ran."""
    if isinstance(error, SqlglotError):
        return BigQueryError("invalidQuery", f"Syntax error: {str(error).splitlines()[0]}", location="query")
    bad = _BAD_CAST.search(str(error))
    if isinstance(error, duckdb.ConversionException) and bad:
        kind = _TYPE_NAMES.get(bad["type"].split("(")[0], bad["type"].lower())
        return BigQueryError("invalidQuery", f"Bad {kind} value: {bad['value']}", location="query")
    marked = _RAISED.search(str(error))
    if marked:
        return BigQueryError(marked["reason"], marked["message"], location="query")
    if isinstance(error, DomainError):
        return translate_runtime_error(error, duckdb_sql=sql)
    if isinstance(error, duckdb.InterruptException):
        return BigQueryError("stopped", "Job execution was cancelled: User requested cancellation")
    if isinstance(error, duckdb.OutOfMemoryException):
        return BigQueryError(
            "resourcesExceeded", f"Resources exceeded during query execution: {error}", location="query"
        )
    if isinstance(error, duckdb.IOException):
        return BigQueryError("internalError", f"The local warehouse cannot be read or written: {error}")
    return translate_runtime_error(error, duckdb_sql=sql)
