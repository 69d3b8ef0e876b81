"""The local Pub/Sub in a process of its own: a confirmation waits neither for a query nor for rows that BigQuery takes in."""

import threading
from pathlib import Path
from typing import Any

from infra.local.child_process import ChildProcess


class PubSubHost:
    """Keeps the process of a `PubSubServer` alive; it starts to import at once, and serves from `start` on.

    Args:
        state_dir: Where the messages are kept.
        root: Where it runs.
        log: File that its output is appended to.
        credentials_dir: The folder of the `LocalCredentials` that sign the tokens of pushes.
        project: Theirs.
        port: 0 lets the system choose.
    """

    def __init__(
        self, state_dir: Path, *, root: Path, log: Path, credentials_dir: Path, project: str, port: int = 0
    ) -> None:
        self._orders: dict[str, Any] = {
            "state_dir": str(state_dir),
            "credentials_dir": str(credentials_dir),
            "project": project,
            "port": port,
        }
        self._delivers = False
        self._lock = threading.Lock()
        self._child = ChildProcess("pubsub", "infra.local.pubsub.process", root=root, log=log, answers=True)

    @property
    def endpoint(self) -> str:
        """`127.0.0.1:PORT`, what PUBSUB_EMULATOR_HOST wants; the port is known once it is started."""
        return f"127.0.0.1:{self._orders['port']}"

    @property
    def pid(self) -> int:
        """The process's ID."""
        return self._child.pid

    def start(self, bigquery_endpoint: str) -> None:
        """Serve; push and BigQuery subscriptions wait for `deliver`.

        Raises:
            OSError: The port is taken.
            RuntimeError: The process died; the text ends with the log's last lines.
        """
        self._orders["bigquery_endpoint"] = bigquery_endpoint
        self._serve()
        self._child.keep_alive(self._serve)

    def deliver(self) -> None:
        """Begin to push and to write to BigQuery."""
        self._delivers = True
        self._ask({"do": "deliver"})

    def hold(self) -> None:
        """Take no more messages for push and BigQuery; a push under way may still end, and is not counted if it fails."""
        self._delivers = False
        if self._child.alive:
            self._ask({"do": "hold"})

    def stop(self) -> None:
        """Stop; what is not acknowledged is delivered after the next start."""
        self._child.stop()

    def _serve(self) -> None:
        self._orders["port"] = self._ask({"do": "start", **self._orders})["port"]  # a restart keeps the address
        if self._delivers:
            self._ask({"do": "deliver"})

    def _ask(self, order: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            self._child.send(order)
            answer = self._child.receive()
        if "error" in answer:
            raise OSError(answer["error"])
        return answer
