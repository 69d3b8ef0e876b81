"""Long-running operations: recorded before they start, carried on after a restart, never left hanging.

An operation's work is done in two steps: `prepare` is slow and may be done again, `finish` changes the state in the
same transaction that marks the operation done. So a kill at any point leaves either an operation that runs again at
the next start or one that is finished, and never half a deployment.
"""

import json
import logging
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from infra.local.vertex.errors import ApiError, internal, invalid, not_found
from infra.local.vertex.store import Store, document, now

_log = logging.getLogger(__name__)
_TYPE = "type.googleapis.com/"
_WORKERS = 4


@dataclass(frozen=True)
class Kind:
    """How operations of one kind are carried out.

    `prepare(request)` runs outside a transaction; `finish(connection, request, prepared)` inside, and returns the
    response's JSON. Both may raise `ApiError`.
    """

    metadata_type: str
    response_type: str
    prepare: Callable[[dict[str, Any]], Any]
    finish: Callable[[sqlite3.Connection, dict[str, Any], Any], dict[str, Any]]
    stages: tuple[str, str, str] | None = None  # DeploymentStage while running, when done, when failed


class Operations:
    """The operations of the service, and the threads that carry them out. `seconds` is how long one takes at least."""

    def __init__(self, store: Store, *, seconds: float) -> None:
        self._store = store
        self._seconds = seconds
        self._kinds: dict[str, Kind] = {}
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._workers = ThreadPoolExecutor(_WORKERS, thread_name_prefix="vertex-operation")

    def add_kind(self, name: str, kind: Kind) -> None:
        """Make a kind known; must be done before `resume`."""
        self._kinds[name] = kind

    def start(
        self, connection: sqlite3.Connection, target: str, location: str, kind: str, request: dict[str, Any]
    ) -> dict[str, Any]:
        """Record a running operation on the resource `target`; the caller calls `launch` once that is committed."""
        operation = _new_operation(target, self._kinds[kind].metadata_type, now())
        _set_stage(operation, self._kinds[kind], 0)
        connection.execute(
            "INSERT INTO operations VALUES (?, ?, ?, ?, 0, ?)",
            (operation["name"], location, kind, json.dumps(request), json.dumps(operation)),
        )
        return operation

    def launch(self, name: str) -> None:
        """Carry out a recorded operation on a thread."""
        self._workers.submit(self._run, name)

    def record_done(
        self, connection: sqlite3.Connection, target: str, metadata_type: str, response: dict[str, Any] | None
    ) -> dict[str, Any]:
        """Record an operation that was done at once; `response` carries its own "@type", None is Empty."""
        operation = _new_operation(target, metadata_type, now())
        operation |= {"done": True, "response": response or {"@type": f"{_TYPE}google.protobuf.Empty"}}
        connection.execute(
            "INSERT INTO operations VALUES (?, ?, 'done', '{}', 1, ?)",
            (operation["name"], target.split("/")[3], json.dumps(operation)),
        )
        return operation

    def resume(self) -> None:
        """Carry on what was running when the service stopped or was killed."""
        with self._store.transaction() as connection:
            names = [row["name"] for row in connection.execute("SELECT name FROM operations WHERE NOT done")]
        for name in names:
            self.launch(name)

    def stop(self) -> None:
        """Stop the threads; what runs is carried on after the next start."""
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()
        self._workers.shutdown(wait=True, cancel_futures=True)

    def get(self, name: str, *, linger_seconds: float = 0.0) -> dict[str, Any]:
        """An operation, at the latest after `linger_seconds`, at once when it is done."""
        deadline = time.monotonic() + linger_seconds
        with self._changed:
            while True:
                operation = self._read(name)
                left = deadline - time.monotonic()
                if operation.get("done") or left <= 0 or self._stopping.is_set():
                    return operation
                self._changed.wait(left)

    def list(self, parent: str) -> dict[str, Any]:
        """The operations below a location or a resource."""
        with self._store.transaction() as connection:
            rows = connection.execute("SELECT * FROM operations ORDER BY rowid").fetchall()
        return {"operations": [document(row) for row in rows if row["name"].startswith(f"{parent}/")]}

    def cancel(self, name: str) -> None:
        """End a running operation as CANCELLED; one that is done stays as it is."""
        with self._store.transaction() as connection:
            self._read(name)
            self._conclude(connection, name, error=ApiError("CANCELLED", "The operation was cancelled."))
        self._notify()

    def delete(self, name: str) -> None:
        """Forget a finished operation."""
        with self._store.transaction() as connection:
            if not self._read(name).get("done"):
                raise invalid(f"Operation {name} is still running.")
            connection.execute("DELETE FROM operations WHERE name = ?", (name,))

    def _read(self, name: str) -> dict[str, Any]:
        with self._store.transaction() as connection:
            row = connection.execute("SELECT * FROM operations WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise not_found(f"Operation not found: {name}.")
        return document(row)

    def _run(self, name: str) -> None:
        with self._store.transaction() as connection:
            row = connection.execute("SELECT * FROM operations WHERE name = ?", (name,)).fetchone()
        kind, request = self._kinds[row["kind"]], json.loads(row["request"])
        try:
            if self._stopping.wait(self._seconds):
                return
            prepared = kind.prepare(request)
            with self._store.transaction() as connection:
                if self._read(name).get("done"):  # cancelled meanwhile
                    return
                response = {"@type": _TYPE + kind.response_type, **kind.finish(connection, request, prepared)}
                self._conclude(connection, name, response=response)
        except ApiError as error:
            self._fail(name, error)
        except Exception as error:  # noqa: BLE001 - logged; an operation must end, never hang
            _log.exception("operation %s failed", name)
            self._fail(name, internal(error))
        self._notify()

    def _fail(self, name: str, error: ApiError) -> None:
        with self._store.transaction() as connection:
            self._conclude(connection, name, error=error)

    def _conclude(
        self,
        connection: sqlite3.Connection,
        name: str,
        *,
        response: dict[str, Any] | None = None,
        error: ApiError | None = None,
    ) -> None:
        row = connection.execute("SELECT * FROM operations WHERE name = ?", (name,)).fetchone()
        operation = document(row)
        if operation.get("done"):
            return
        operation["done"] = True
        operation["metadata"]["genericMetadata"]["updateTime"] = now()
        _set_stage(operation, self._kinds[row["kind"]], 2 if error else 1)
        operation |= {"error": error.rpc_status()} if error else {"response": response}
        connection.execute("UPDATE operations SET done = 1, document = ? WHERE name = ?", (json.dumps(operation), name))

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()


def _new_operation(target: str, metadata_type: str, at: str) -> dict[str, Any]:
    return {
        "name": f"{target}/operations/{10**18 + secrets.randbelow(9 * 10**18)}",
        "metadata": {"@type": _TYPE + metadata_type, "genericMetadata": {"createTime": at, "updateTime": at}},
    }


def _set_stage(operation: dict[str, Any], kind: Kind, index: int) -> None:
    if kind.stages is not None:
        operation["metadata"]["deploymentStage"] = kind.stages[index]
