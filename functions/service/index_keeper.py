"""Keeps the index fresh: built when another version takes over, and told of new deals again and again.

An index belongs to a version, for its keys are made by that version's SQL. While the next one is built the old one serves.
"""

from __future__ import annotations

import datetime as dt
import gc
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import structlog

from deployment.application import Application
from etl.errors import BqloopError, StateError
from etl.names import Namespace, Naming
from functions.service.candidate_index import CandidateIndex, MemoryIndex
from functions.service.compact_index import CompactIndex
from functions.service.known_deals import Key, WarehouseDeals
from functions.service.policy import ServingPolicy
from functions.service.shared_index import SharedIndexes
from functions.service.values import Pair, ordered
from functions.service.versions import ServedVersion
from functions.service.warehouse_index import WarehouseIndex
from functions.service.workers import Workers

log = structlog.get_logger(__name__)

# Deals that are Python's own values at a time when an index is built: as such they take many times the room.
_AT_ONCE = 2_000


class IndexKeeper:
    """The index of one model.

    Args:
        app: bqloop in this environment.
        model: The model.
        serving: Its section of the policy.
    """

    def __init__(self, app: Application, model: str, serving: ServingPolicy) -> None:
        self._serving = serving
        self._warehouse = app.warehouse(model)
        self._known = WarehouseDeals(app, model)
        templates = app.templates(model)
        self._model = model
        self._naming = Naming.of(app.settings, model)
        self._tables = self._naming.tables(templates.stems(f"{model}/tables"))
        self._new_deals = templates.render(f"{model}/serve/known_deals.sql", {"table": self._tables})
        self._templates = templates
        self._index: CandidateIndex | None = None
        self._version = ""
        self._seen = dt.datetime.min.replace(tzinfo=dt.UTC)
        self._refreshed = 0.0
        self._building = threading.Lock()
        self._shared = SharedIndexes.of_environment(model)

    def index(self, version: ServedVersion) -> CandidateIndex:
        """The index to ask; the first call builds it, later calls have it refreshed behind their backs.

        Raises:
            UnavailableError: BigQuery cannot be reached, and there is no index yet.
        """
        known = self._index
        if known is None:
            with self._building:
                if self._index is None:
                    self._build(version)
                assert self._index is not None  # noqa: S101 -- just built
                return self._index
        stale = version.version != self._version or time.monotonic() - self._refreshed > self._serving.refresh_seconds
        if stale and self._building.acquire(blocking=False):
            threading.Thread(target=self._refresh, args=(version,), name="index", daemon=True).start()
        return known

    def build_files(self, version: ServedVersion, folder: Path, workers: Workers) -> int:
        """Have a version's index in the files of a folder, built if it is not there yet; gives how many deals it holds.

        Raises:
            StateError: The version's SQL cannot be compiled, which such an index needs.
            UnavailableError: BigQuery cannot be reached.
        """
        compiled = version.program.compiled
        if compiled is None:
            raise StateError(
                f"the SQL of version {version.version} is not compiled (the log says why): it has no files"
            )
        shared = SharedIndexes(folder, self._model)
        return len(shared.index(compiled, version.version, self._known_deals, workers)[0])

    def deals(self, keys: Sequence[Key]) -> Mapping[Key, Mapping[str, Any]]:
        """Known deals: from the index, and what it does not have from the warehouse."""
        found = dict(self._index.deals(keys)) if self._index is not None else {}
        return found | dict(self._known.deals([key for key in keys if key not in found]))

    def _refresh(self, version: ServedVersion) -> None:
        try:
            if version.version != self._version:
                self._build(version)
            elif self._index is not None:
                self._index.add(list(self._read(self._seen)))
            self._refreshed = time.monotonic()
        except BqloopError as error:
            log.warning("the index could not be refreshed; it stays as it is", reason=str(error))
        finally:
            self._building.release()

    def _build(self, version: ServedVersion) -> None:
        started = time.monotonic()
        index: CandidateIndex
        compiled = version.program.compiled
        if compiled is None:
            known = list(self._known_deals()[0])
            index = MemoryIndex(version.program, version.serving, known, self._judged_pairs(version))
        elif self._serving.candidates.index == "bigquery":
            recent = list(self._read(version.champion.as_of))
            index = WarehouseIndex(compiled, partial(self._asked, version), self._known, recent)
        elif self._shared is None:
            index = CompactIndex.of(compiled, self._known_deals()[0], self._judged_pairs(version))
        else:
            shared, self._seen = self._shared.index(compiled, version.version, self._known_deals)
            shared.remember(self._judged_pairs(version))
            index = shared
        self._index, self._version, self._refreshed = index, version.version, time.monotonic()
        # What was just made stays: the collector need not look through it again in the middle of a request.
        gc.collect()
        gc.freeze()
        log.info("index built", version=version.version, deals=len(index), seconds=round(time.monotonic() - started, 3))

    def _asked(
        self, version: ServedVersion, statement: str, parameters: Mapping[str, Any], more: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        """The rows of one of serve/'s statements over the tables of the version's run."""
        run_tables = self._run_tables(version)
        context = dict(more)
        if "summarised_table" in context:
            context["summarised_table"] = getattr(run_tables, context["summarised_table"])
        tables = {"table": self._tables, "run_table": run_tables, **context}
        rendered = self._templates.render(f"{self._model}/serve/{statement}.sql", tables)
        return [in_utc(row) for row in self._warehouse.read(rendered, parameters)]

    def _run_tables(self, version: ServedVersion) -> Namespace:
        names = self._templates.stems(f"{self._model}/features")
        return self._naming.run_tables(names, version.champion.slug)

    def _known_deals(self) -> tuple[Iterable[dict[str, Any]], dt.datetime]:
        """The deals of the index's days, and the instant up to which they are known."""
        since = dt.datetime.now(dt.UTC) - dt.timedelta(days=self._serving.index_days)
        return self._read(since), self._seen

    def _read(self, since: dt.datetime) -> Iterator[dict[str, Any]]:
        """The deals that came since then, as Python's own values a batch at a time."""
        table = self._warehouse.read_arrow(self._new_deals, {"since": since})
        latest = pc.max(table.column("ingested_at")).as_py()
        self._seen = max(self._seen, since) if latest is None else latest
        batches = table.to_batches(max_chunksize=_AT_ONCE)
        return (in_utc(row) for batch in batches for row in batch.to_pylist())

    def _judged_pairs(self, version: ServedVersion) -> Iterable[Pair]:
        for row in self._asked(version, "judged_pairs", {}, {}):
            yield ordered((row["left_source"], row["left_id"]), (row["right_source"], row["right_id"]))


def in_utc(row: Mapping[str, Any]) -> dict[str, Any]:
    """A deal with its instants in UTC and without a zone, as the service's engine holds them."""
    return {
        name: value.astimezone(dt.UTC).replace(tzinfo=None)
        if isinstance(value, dt.datetime) and value.tzinfo
        else value
        for name, value in row.items()
    }
