"""Cloud Functions on the laptop: keeps the child process that hosts them alive.

The parent owns the listening socket, so the address stays when the child dies, and a request that comes meanwhile
waits for the next one instead of being refused. No function code runs in this process.
"""

import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_log = logging.getLogger(__name__)
# Several seconds of imports: the Vertex AI client alone takes four.
GOOGLE_CLIENTS = ("google.cloud.bigquery", "google.cloud.pubsub_v1", "google.cloud.aiplatform_v1")
READY_PATH = "/_ready"
_REPOSITORY = Path(__file__).resolve().parents[2]
_START_SECONDS = 60.0
_STOP_SECONDS = 5.0
_LONGEST_PAUSE = 10.0


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
        self._child: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._guard: threading.Thread | None = None

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
        self._bind()
        self._stopping.clear()
        self._child = self._spawn()

    def _bind(self) -> None:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", self._port))
        except OSError as error:
            listener.close()
            raise OSError(f"The functions cannot listen on 127.0.0.1:{self._port}: {error.strerror}") from error
        listener.listen(2048)
        self._port = listener.getsockname()[1]
        self._socket = listener

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
            if self._child is None or self._child.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"The functions of {self._source.name} did not start:\n{self._tail()}")
        self._guard = threading.Thread(target=self._keep_alive, name="functions-guard", daemon=True)
        self._guard.start()

    def stop(self) -> None:
        """Let running calls end, for a moment, and stop."""
        self._stopping.set()
        child, self._child = self._child, None
        if child is not None:
            child.terminate()
            try:
                child.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                _log.debug("The functions did not end in time")
            self._kill_group(child)
        if self._guard is not None:
            self._guard.join(_STOP_SECONDS)
            self._guard = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _spawn(self) -> subprocess.Popen[bytes]:
        assert self._socket is not None  # noqa: S101 - bound by `start`
        paths = [str(self._root), str(_REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as output:
            return subprocess.Popen(  # noqa: S603 - our own module, by our own interpreter
                [sys.executable, "-m", "infra.local.functions_process", *self._imports],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self._root,
                env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": os.pathsep.join(paths)},
                pass_fds=[self._socket.fileno()],
                start_new_session=True,
            )

    def _give_orders(self) -> None:
        assert self._socket is not None  # noqa: S101 - as above
        assert self._child is not None  # noqa: S101 - as above
        assert self._child.stdin is not None  # noqa: S101 - it is a pipe
        orders = {
            "socket": self._socket.fileno(),
            "source": str(self._source),
            "functions": self._functions,
            "environment": self._environment,
        }
        with contextlib.suppress(BrokenPipeError):  # It died already: `wait_ready` or the guard will find out.
            self._child.stdin.write(json.dumps(orders).encode() + b"\n")
            self._child.stdin.flush()

    def _keep_alive(self) -> None:
        pause = 0.1
        while not self._stopping.is_set():
            child = self._child
            if child is None:
                return
            started = time.monotonic()
            child.wait()
            if self._stopping.is_set():
                return
            self._kill_group(child)
            pause = 0.1 if time.monotonic() - started > _LONGEST_PAUSE else min(_LONGEST_PAUSE, pause * 2)
            _log.warning("The functions died (exit code %s); started again", child.returncode)
            if self._stopping.wait(pause):
                return
            self._child = self._spawn()
            self._give_orders()
            if self._stopping.is_set():
                self._kill_group(self._child)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.endpoint}{READY_PATH}", timeout=1.0) as answer:  # noqa: S310 - our own
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    def _kill_group(self, child: subprocess.Popen[bytes]) -> None:
        with contextlib.suppress(ProcessLookupError):  # All of it may be gone already.
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        if child.stdin is not None:
            child.stdin.close()

    def _tail(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-20:]) if self._log.exists() else ""
