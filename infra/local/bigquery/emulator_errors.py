"""From DuckDB's and sqlglot's errors to BigQuery's, by bqemulator's own table of them, with a few lines of our own."""

from __future__ import annotations

import duckdb
from bqemulator.domain.errors import DomainError
from bqemulator.jobs.error_mapper import translate_runtime_error

from .errors import BigQueryError


def domain_error(error: Exception, sql: str | None = None) -> DomainError:
    """The error that BigQuery would give for `error`, raised while `sql` (DuckDB's) ran."""
    if isinstance(error, DomainError):
        mapped: DomainError = translate_runtime_error(error, duckdb_sql=sql)
        return mapped
    if isinstance(error, duckdb.InterruptException):
        return BigQueryError("stopped", "Job execution was cancelled: User requested cancellation")
    if isinstance(error, duckdb.OutOfMemoryException):
        return BigQueryError("resourcesExceeded", f"Resources exceeded during query execution: {error}", location="query")
    if isinstance(error, duckdb.IOException):
        return BigQueryError("internalError", f"The local warehouse cannot be read or written: {error}")
    mapped = translate_runtime_error(error, duckdb_sql=sql)
    return mapped
