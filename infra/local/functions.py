"""Cloud Functions on the laptop: keeps the child process that hosts them alive.

The parent owns the listening socket, so the address stays when the child dies, and a request that comes meanwhile
waits for the next one instead of being refused. No function code runs in this process.
"""

import socket
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from infra.local.child_process import ChildProcess

# Several seconds of imports: the Vertex AI client alone takes four.
GOOGLE_CLIENTS = ("google.cloud.bigquery", "google.cloud.pubsub_v1", "google.cloud.aiplatform_v1")
READY_PATH = "/_ready"
_START_SECONDS = 60.0


class FunctionsHost:
    """All functions of one source file at `<endpoint>/<name>`.

    Args:
        functions: By name: `entry_point`, `trigger` (`pubsub` or `http`), `timeout_seconds`, as the environment file says.
        source: The Python file that defines the entry points; its folder's parent `root` is where imports start.
        log: File that the functions' output is appended to.
        environment: Variables that the functions see beside those of this process; `start` can add to them.
        imports: Modules that functions need and that take long to import; loaded once for all workers. One that is not
            installed is left out.
        port: 0 lets the system choose.
    """

    def __init__(
        self,
        functions: Mapping[str, Mapping[str, Any]],
        *,
        source: Path,
        root: Path,
        log: Path,
        environment: Mapping[str, str] | None = None,
        imports: Sequence[str] = GOOGLE_CLIENTS,
        port: int = 0,
    ) -> None:
        self._functions = {
            name: {"timeout_seconds": 60, **{k: f[k] for k in ("entry_point", "trigger", "timeout_seconds") if k in f}}
            for name, f in functions.items()
        }
        self._source = source
        self._root = root
        self._environment = dict(environment or {})
        self._log = log
        self._imports = list(imports)
        self._port = port
        self._socket: socket.socket | None = None
        self._child: ChildProcess | None = None

    @property
    def endpoint(self) -> str:
        """`http://127.0.0.1:PORT`; known once `prepare` or `start` was called."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int | None:
        """The child's process ID; its process group has the same number."""
        return self._child.pid if self._child is not None else None

    def prepare(self) -> None:
        """Take the port, where requests wait until the functions run, and let a child import what all functions need.

        Saves time where the functions' environment is not known yet; `start` does it otherwise.
        """
        if self._socket is not None:
            return
        self._socket = self._listener()
        self._child = ChildProcess(
            "functions",
            "infra.local.functions_process",
            self._imports,
            root=self._root,
            log=self._log,
            pass_fds=[self._socket.fileno()],
        )

    def _listener(self) -> socket.socket:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", self._port))
        except OSError as error:
            listener.close()
            raise OSError(f"The functions cannot listen on 127.0.0.1:{self._port}: {error.strerror}") from error
        listener.listen(2048)
        self._port = listener.getsockname()[1]
        return listener

    def start(self, *, environment: Mapping[str, str] | None = None, wait: bool = True) -> None:
        """Start the child. With `wait`, returns when every function is loaded. `environment` adds to the constructor's.

        Raises:
            RuntimeError: A function cannot be loaded; the text ends with the log's last lines.
        """
        self.prepare()
        self._environment |= dict(environment or {})
        self._give_orders()
        if wait:
            self.wait_ready()

    def wait_ready(self) -> None:
        """Return when every function is loaded; raises as `start` does. From then on a dead child is started again."""
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if self._child is None or not self._child.alive or time.monotonic() > deadline:
                said = self._child.tail() if self._child is not None else ""
                self.stop()
                raise RuntimeError(f"The functions of {self._source.name} did not start:\n{said}")
        if self._child is not None:
            self._child.keep_alive(self._give_orders)

    def stop(self) -> None:
        """Let running calls end, for a moment, and stop."""
        child, self._child = self._child, None
        if child is not None:
            child.stop()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _give_orders(self) -> None:
        assert self._socket is not None  # noqa: S101 - bound by `prepare`
        assert self._child is not None  # noqa: S101 - made by `prepare`
        self._child.send(
            {
                "socket": self._socket.fileno(),
                "source": str(self._source),
                "functions": self._functions,
                "environment": self._environment,
            }
        )

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.endpoint}{READY_PATH}", timeout=1.0) as answer:  # noqa: S310 - our own
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False
