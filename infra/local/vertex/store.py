"""The local Vertex AI's state: one SQLite file, each change one transaction, so that a kill loses nothing answered.

Resources stand as JSON documents in the form of the REST API; what must be unique or looked up is a column. Nothing
here knows what the documents mean.
"""

import contextlib
import json
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_SCHEMA = """
CREATE TABLE IF NOT EXISTS models (
  location TEXT, model_id TEXT, next_version INTEGER NOT NULL, document TEXT NOT NULL,
  PRIMARY KEY (location, model_id)
);
CREATE TABLE IF NOT EXISTS versions (
  location TEXT, model_id TEXT, version INTEGER, bigquery_model TEXT NOT NULL UNIQUE, model_dir TEXT NOT NULL,
  document TEXT NOT NULL, PRIMARY KEY (location, model_id, version)
);
CREATE TABLE IF NOT EXISTS aliases (
  location TEXT, model_id TEXT, alias TEXT, version INTEGER NOT NULL, PRIMARY KEY (location, model_id, alias)
);
CREATE TABLE IF NOT EXISTS evaluations (
  location TEXT, model_id TEXT, version INTEGER, evaluation_id TEXT, document TEXT NOT NULL,
  PRIMARY KEY (location, model_id, version, evaluation_id)
);
CREATE TABLE IF NOT EXISTS endpoints (
  location TEXT, endpoint_id TEXT, document TEXT NOT NULL, PRIMARY KEY (location, endpoint_id)
);
CREATE TABLE IF NOT EXISTS operations (
  name TEXT PRIMARY KEY, location TEXT NOT NULL, kind TEXT NOT NULL, request TEXT NOT NULL, done INTEGER NOT NULL,
  document TEXT NOT NULL
);
"""


def now() -> str:
    """The present instant as the API writes it, RFC 3339 in UTC with microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class Store:
    """The database; all access goes through `transaction`, one at a time."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._folder = path.parent.absolute()
        self._lock = threading.RLock()
        self._depth = 0
        self._after_commit: list[Callable[[], None]] = []
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        # A write-ahead log survives kill -9 without an fsync a commit; only a power cut could take the last commits.
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.executescript(_SCHEMA)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing; nested uses join the outer one."""
        with self._lock:
            if self._depth == 0:
                self._connection.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield self._connection
            except BaseException:
                self._depth -= 1
                if self._depth == 0:
                    self._after_commit.clear()
                    self._connection.execute("ROLLBACK")
                raise
            self._depth -= 1
            if self._depth == 0:
                self._connection.execute("COMMIT")
                callbacks, self._after_commit = self._after_commit, []
                for callback in callbacks:
                    callback()

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call back once the running transaction is committed, before anybody else can read what it wrote."""
        self._after_commit.append(callback)

    def kept_path(self, path: Path) -> str:
        """A path as it is kept: relative to the database, so that the whole state folder can be moved."""
        return os.path.relpath(path.absolute(), self._folder)

    def path(self, kept: str) -> Path:
        """The path that was kept."""
        return Path(os.path.normpath(self._folder / kept))

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()


def document(row: sqlite3.Row) -> dict[str, Any]:
    """The JSON document of a row."""
    loaded: dict[str, Any] = json.loads(row["document"])
    return loaded
