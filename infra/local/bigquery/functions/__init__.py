"""Functions that BigQuery has and DuckDB lacks, as vectorised functions in DuckDB: one module a family."""

from __future__ import annotations

import duckdb


def register(connection: duckdb.DuckDBPyConnection) -> None:
    """Make them known to the database."""
