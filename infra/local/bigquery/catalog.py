"""bqemulator's catalog of datasets, tables and routines, made fit for many threads and for transactions.

Its rows are written through this thread's session, hence inside the job's transaction; its cache in memory is shared.
"""

# ruff: noqa: SLF001  # sqlglot's parser and bqemulator's internals are what is adapted here

from __future__ import annotations

import threading
from typing import Any

from bqemulator.catalog.duckdb_repository import DuckDBCatalogRepository

CACHES = ("_datasets", "_tables", "_routines", "_models", "_snapshots", "_mviews", "_row_access")


_GONE = object()


class SteadyDict(dict[Any, Any]):
    """A dict that may be changed by one thread while others walk through it.

    Changes are noted with the engine: those of an open transaction are not on disk yet for others, and any may come
    while another thread reads the catalog anew after its own transaction. None of them must be lost to the new reading.
    """

    def __init__(self, entries: dict[Any, Any], name: str, engine: Any) -> None:
        super().__init__(entries)
        self._name = name
        self._engine = engine

    def overlay(self) -> None:
        """Put in what was changed last, by transactions that are open or through."""
        for (cache, key), value in self._engine.noted_changes():
            if cache != self._name:
                continue
            if value is _GONE:
                super().pop(key, None)
            else:
                super().__setitem__(key, value)

    def __setitem__(self, key: Any, value: Any) -> None:
        """Set, and note it."""
        self._note(key, value)
        super().__setitem__(key, value)

    def __delitem__(self, key: Any) -> None:
        """Delete, and note it."""
        self._note(key, _GONE)
        super().__delitem__(key)

    def pop(self, key: Any, *default: Any) -> Any:
        """Take out, and note it."""
        self._note(key, _GONE)
        return super().pop(key, *default)

    def _note(self, key: Any, value: Any) -> None:
        changes = self._engine.open_changes.get(threading.get_ident())
        if changes is None:
            self._engine.settle({(self._name, key): value})
        else:
            changes[self._name, key] = value

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
        setattr(catalog._cache, name, SteadyDict(getattr(catalog._cache, name), name, catalog._engine))
    return catalog


_reloading = threading.Lock()


def reload_catalog(catalog: DuckDBCatalogRepository) -> None:
    """Read the catalog from disk again; other threads see the old entries or the new, never none.

    Called after a rollback of a transaction that has touched the catalog: the cache has its changes, the disk has not.
    A commit needs none, as every change is made to both; reading takes as long as there are tables.
    """
    with _reloading:
        fresh = DuckDBCatalogRepository(catalog._engine)
        fresh._hydrate_from_duckdb()
        for name in CACHES:
            entries = SteadyDict(getattr(fresh._cache, name), name, catalog._engine)
            entries.overlay()
            setattr(catalog._cache, name, entries)
            entries.overlay()  # what was changed meanwhile went to the cache before
