"""bqemulator's catalog of datasets, tables and routines, made fit for many threads and for transactions.

Its rows are written through this thread's session, hence inside the job's transaction; its cache in memory is shared.
"""

# ruff: noqa: SLF001  # sqlglot's parser and bqemulator's internals are what is adapted here

from __future__ import annotations

import threading
from typing import Any

from bqemulator.catalog.duckdb_repository import DuckDBCatalogRepository

CACHES = ("_datasets", "_tables", "_routines", "_models", "_snapshots", "_mviews", "_row_access")


class SteadyDict(dict[Any, Any]):
    """A dict that may be changed by one thread while others walk through it."""

    def values(self) -> Any:
        """A list of what is in it now."""
        return list(super().values())

    def items(self) -> Any:
        """A list of what is in it now."""
        return list(super().items())

    def __iter__(self) -> Any:
        return iter(list(super().__iter__()))


def steady(catalog: DuckDBCatalogRepository) -> DuckDBCatalogRepository:
    """The catalog with caches that several threads may use."""
    for name in CACHES:
        setattr(catalog._cache, name, SteadyDict(getattr(catalog._cache, name)))
    return catalog


_reloading = threading.Lock()


def reload_catalog(catalog: DuckDBCatalogRepository) -> None:
    """Read the catalog from disk again; other threads see the old entries or the new, never none.

    Called after every transaction that has touched the catalog, kept or not: the last to end sees what all have left.
    """
    with _reloading:
        fresh = DuckDBCatalogRepository(catalog._engine)
        fresh._hydrate_from_duckdb()
        for name in CACHES:
            setattr(catalog._cache, name, SteadyDict(getattr(fresh._cache, name)))
