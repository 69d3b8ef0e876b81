"""DuckDB for many threads: a cursor a thread, real transactions, bounded memory.

bqemulator's own engine shares one connection between all requests, so that one long query holds up everybody and a
failure halfway leaves what was done so far. Here every thread speaks through a cursor of its own (DuckDB's cursors are
sessions on the same database: they run side by side and see each other's commits), and a job's changes to tables and
to the catalog stand or fall together.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import duckdb
from bqemulator.config import Settings
from bqemulator.storage.engine import DuckDBEngine

MEMORY_VARIABLE = "BQLOOP_DUCKDB_MEMORY"
THREADS_VARIABLE = "BQLOOP_DUCKDB_THREADS"
CHECKPOINT_AT = "512MB"
"""How long the log may grow while there is something to do. A commit is as lasting in the log alone, and a restart after a kill reads
a log of that length within some seconds; the commit that has to write it into the database instead takes as long, and the longer
the larger the database."""
WORTH_A_CHECKPOINT = 64 * 2**20
"""Bytes of log from which on a pause is used to write it into the database."""
SETTLED_KEPT = 4096
"""Changes of the catalog that are remembered: many more than fall within one reading of it."""


def memory_limit() -> str:
    """What DuckDB may use, as it writes sizes: `BQLOOP_DUCKDB_MEMORY` ("6GB"), else half of the machine's memory."""
    wanted = os.environ.get(MEMORY_VARIABLE)
    if wanted:
        return wanted
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return f"{max(total // 2, 512 * 2**20) // 2**20}MiB"


class ThreadedEngine(DuckDBEngine):
    """bqemulator's engine with a cursor for each thread that asks for one."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._local = threading.local()
        # What open transactions have changed in the catalog, by thread, and what was settled last; see `catalog.SteadyDict`.
        self.open_changes: dict[int, dict[tuple[str, Any], Any]] = {}
        self._settled: OrderedDict[tuple[str, Any], Any] = OrderedDict()
        self._settling = threading.Lock()
        self._exclusive = threading.Lock()

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """This thread's session. Views registered on it are seen by this thread alone."""
        base = super().connection
        cursor: duckdb.DuckDBPyConnection | None = getattr(self._local, "cursor", None)
        if cursor is None or getattr(self._local, "base", None) is not base:
            cursor = base.cursor()
            cursor.execute("SET TimeZone = 'UTC'")
            self._local.cursor = cursor
            self._local.base = base
        return cursor

    def _apply_session_pragmas(self) -> None:
        """Time zone, memory and spill folder, once for the whole database."""
        base = super().connection
        base.execute("SET TimeZone = 'UTC'")
        base.execute(f"SET memory_limit = '{memory_limit()}'")
        base.execute(f"SET checkpoint_threshold = '{CHECKPOINT_AT}'")
        spill = Path(self._settings.data_dir or ".") / "spill"
        spill.mkdir(parents=True, exist_ok=True)
        base.execute(f"SET temp_directory = '{spill}'")
        # Finding codes for text took a seventh of the CPU time of scoring, and saved half of a table's size.
        base.execute("SET disabled_compression_methods = 'fsst,dict_fsst'")
        threads = os.environ.get(THREADS_VARIABLE)
        if threads:
            base.execute(f"SET threads = {int(threads)}")

    def _load_spatial(self) -> None:
        """Nothing: the spatial extension is a download, and GEOGRAPHY is refused here (see the README)."""

    async def stop(self) -> None:
        """Close the database; what is committed is on disk already."""
        self._local = threading.local()
        await super().stop()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of the block's changes, or none. Not to be nested."""
        self.begin()
        try:
            yield
        except BaseException:
            self.rollback()
            raise
        self.commit()

    def begin(self) -> None:
        """Open a transaction in this thread's session."""
        self.connection.execute("BEGIN TRANSACTION")
        self._local.open = True
        self.open_changes[threading.get_ident()] = {}

    def commit(self) -> None:
        """Make the open transaction's changes lasting and visible."""
        self._local.open = False
        mine = threading.get_ident()
        try:
            self.connection.execute("COMMIT")
            self.settle(self.open_changes.get(mine, {}))
        finally:
            self.open_changes.pop(mine, None)

    @property
    def log_bytes(self) -> int:
        """How long the log is that a restart after a kill would have to read."""
        try:
            return Path(f"{self._settings.duckdb_path()}.wal").stat().st_size
        except FileNotFoundError:  # a checkpoint has just emptied it
            return 0

    def checkpoint(self) -> None:
        """Write the log into the database; nothing if somebody is writing just now."""
        with suppress(duckdb.TransactionException):
            self.connection.execute("CHECKPOINT")

    def settle(self, changes: dict[tuple[str, Any], Any]) -> None:
        """Note changes of the catalog that no open transaction can take back."""
        with self._settling:
            for key, value in changes.items():
                self._settled[key] = value
                self._settled.move_to_end(key)
            while len(self._settled) > SETTLED_KEPT:
                self._settled.popitem(last=False)

    def noted_changes(self) -> list[tuple[tuple[str, Any], Any]]:
        """What was settled last and what open transactions have changed, in the order in which it holds."""
        with self._settling:
            settled = list(self._settled.items())
        return settled + [change for changes in list(self.open_changes.values()) for change in list(changes.items())]

    def rollback(self) -> None:
        """Forget the open transaction's changes; nothing if DuckDB closed it by itself."""
        self._local.open = False
        try:
            self.connection.execute("ROLLBACK")
        except duckdb.TransactionException:
            return
        finally:
            self.open_changes.pop(threading.get_ident(), None)

    @property
    def in_transaction(self) -> bool:
        """Whether this thread has opened a transaction."""
        return bool(getattr(self._local, "open", False))

    @asynccontextmanager
    async def write_lock(self) -> AsyncIterator[None]:
        """bqemulator's write lock, across threads and event loops alike (its own is bound to one loop)."""
        if _on_event_loop():
            while not self._exclusive.acquire(blocking=False):  # noqa: ASYNC110  # it is a thread's lock: no event tells
                await asyncio.sleep(0.002)
        else:
            self._exclusive.acquire()
        try:
            yield
        finally:
            self._exclusive.release()

    def rows(self, sql: str, parameters: list[Any] | None = None) -> list[tuple[Any, ...]]:
        """Every row of a query, as tuples."""
        return list(self.execute(sql, parameters).fetchall())


def _on_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
