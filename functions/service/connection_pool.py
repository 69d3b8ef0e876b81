"""DuckDB connections that are ready to be asked: kept and lent, the last one back first.

A connection is made ready once (statements prepared, which takes longer than running them) and then lent to whichever
thread asks. With one a thread, a server with many threads would prepare the same statement in each of them.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import duckdb


class ConnectionPool:
    """Connections of one kind. There are as many as were ever in use at once.

    Args:
        make: Makes one that is ready.
    """

    def __init__(self, make: Callable[[], duckdb.DuckDBPyConnection]) -> None:
        self._make = make
        self._idle: queue.LifoQueue[duckdb.DuckDBPyConnection] = queue.LifoQueue()

    @contextmanager
    def lent(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection for the time of the block; one in which a statement failed is not used again."""
        try:
            connection = self._idle.get_nowait()
        except queue.Empty:
            connection = self._make()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        self._idle.put(connection)
