"""Runs an ASGI application on a thread of this process: the local cloud's HTTP services share it.

A service must know its address before it takes the first request, must be ready when `start` returns, and must be
able to stop while clients hold idle connections. uvicorn does the work; this is only its lifecycle. No routes here.
"""

import contextlib
import socket
import threading
import time
from typing import Any

import uvicorn

_START_TIMEOUT_SECONDS = 10.0
_STOP_TIMEOUT_SECONDS = 5.0
# As long as Google's front ends keep an idle connection. A client that asks on one in the moment in which it is closed gets
# no answer, and with uvicorn's five seconds that moment comes after every short pause.
_KEEP_ALIVE_SECONDS = 600


class AsgiThread:
    """An ASGI application served at 127.0.0.1 from a daemon thread.

    `port` 0 lets the system choose. The port is bound in the constructor's caller's thread at `start`, so that a port
    in use is an `OSError` there and not a log line.
    """

    def __init__(self, app: Any, *, name: str, port: int = 0) -> None:
        self._app = app
        self._name = name
        self._wanted_port = port
        self._socket: socket.socket | None = None
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def endpoint(self) -> str:
        """The address with its scheme, "http://127.0.0.1:PORT"; known once started."""
        if self._socket is None:
            raise RuntimeError(f"{self._name} is not running: call start() first")
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def start(self) -> None:
        """Bind, serve, and return when requests are accepted.

        Raises:
            OSError: the port is taken.
            RuntimeError: the server did not come up.
        """
        if self._thread is not None:
            return
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", self._wanted_port))
        except OSError:
            listener.close()
            raise
        # A restart in the same process keeps the address: clients made before it go on working.
        self._wanted_port = listener.getsockname()[1]
        config = uvicorn.Config(
            self._app,
            http="httptools",
            log_level="warning",
            access_log=False,
            lifespan="off",
            ws="none",
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name=self._name, daemon=True)
        self._socket, self._server, self._thread = listener, server, thread
        thread.start()
        deadline = time.monotonic() + _START_TIMEOUT_SECONDS
        while not server.started:
            if not thread.is_alive() or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"{self._name} did not start on port {self._wanted_port}")
            time.sleep(0.005)

    def stop(self) -> None:
        """Stop serving and close the port; does nothing when not running."""
        server, thread, listener = self._server, self._thread, self._socket
        self._server = self._thread = self._socket = None
        if server is not None and thread is not None:
            server.should_exit = True
            thread.join(_STOP_TIMEOUT_SECONDS)
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.close()
