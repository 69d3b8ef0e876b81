"""Who runs the local cloud on a state folder: a lock for one process at a time, and a file that says where it answers."""

import fcntl
import json
import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO, cast


class CloudAlreadyRunningError(RuntimeError):
    """Another process runs a local cloud on the same state folder; the text names it and what to do."""


class StateFolder:
    """The claim of one process on a state folder. The system lets go of the lock when the process dies, however it dies."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: TextIO | None = None

    def claim(self) -> None:
        """Take the folder for this process.

        Raises:
            CloudAlreadyRunningError: It belongs to a living one.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        lock = (self.path / "cloud.lock").open("a+")
        if not _locked(lock):
            lock.close()
            pid = (running_cloud(self.path) or {}).get("pid", "unknown")
            raise CloudAlreadyRunningError(
                f"A local cloud (process {pid}) is already running on {self.path}."
                " Stop it, or choose another folder with BQLOOP_STATE."
            )
        self._lock = lock
        (self.path / "cloud.json").unlink(missing_ok=True)  # Of a process that died.

    def announce(self, endpoints: Mapping[str, str]) -> None:
        """Write where the cloud answers, for other processes to find."""
        started_at = datetime.now(UTC).isoformat(timespec="seconds")
        draft = self.path / "cloud.json.new"
        draft.write_text(
            json.dumps({"pid": os.getpid(), "endpoints": dict(endpoints), "started_at": started_at}, indent=2)
        )
        draft.replace(self.path / "cloud.json")

    def release(self) -> None:
        """Let go of the folder; does nothing if it is not held."""
        if self._lock is None:
            return
        (self.path / "cloud.json").unlink(missing_ok=True)
        self._lock.close()
        self._lock = None


def _locked(lock: TextIO) -> bool:
    # A moment's patience: `running_cloud` of another process holds the lock while it looks.
    for _ in range(20):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            time.sleep(0.01)
        else:
            return True
    return False


def running_cloud(path: Path) -> dict[str, Any] | None:
    """`pid`, `endpoints` and `started_at` of the cloud that runs on a state folder; None if none does."""
    try:
        found = cast("dict[str, Any]", json.loads((path / "cloud.json").read_text()))
        lock = (path / "cloud.lock").open()
    except FileNotFoundError:
        return None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return found
    return None  # What it says is of a process that died.
