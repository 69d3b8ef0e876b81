"""The child process that hosts the Cloud Functions: `python -m infra.local.functions_process`, started by `FunctionsHost`.

functions-framework makes one application of each function, as it does on Google Cloud; they are mounted side by side at
`/<name>` and served by gunicorn with threads, the server that functions-framework itself uses there. Reads its orders
(a line of JSON) from its parent, takes its listening socket from it, and dies with it.
"""

import contextlib
import importlib
import json
import os
import sys
from collections.abc import Callable, Iterable
from typing import Any

import functions_framework
import gunicorn.app.base
from functions_framework.exceptions import RequestTimeoutException
from functions_framework.request_timeout import ThreadingTimeout
from werkzeug.exceptions import GatewayTimeout, NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.wrappers import Response

from infra.local.child_process import die_with_parent
from infra.local.functions import READY_PATH

# More than all stages at their most busy; a thread that nobody needs is not made.
_THREADS = 64

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def mounted_functions(source: str, functions: dict[str, dict[str, Any]]) -> WsgiApp:
    """One WSGI application with every function at its own path.

    Args:
        source: The Python file that defines the entry points.
        functions: By name: `entry_point`, `trigger` (`pubsub` or `http`), `timeout_seconds`.
    """
    mounts = {}
    for name, function in functions.items():
        signature = "cloudevent" if function["trigger"] == "pubsub" else "http"
        app = functions_framework.create_app(function["entry_point"], source, signature)  # type: ignore[no-untyped-call] # untyped package
        mounts[f"/{name}"] = _within(app, float(function["timeout_seconds"]))
    return DispatcherMiddleware(_unmounted(sorted(mounts)), mounts)


def _within(app: WsgiApp, seconds: float) -> WsgiApp:
    """Break a call off after `seconds`, as Google Cloud does."""

    def call(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        try:
            with ThreadingTimeout(seconds):  # type: ignore[no-untyped-call] # untyped package
                return app(environ, start_response)
        except RequestTimeoutException:
            return GatewayTimeout(f"The function took longer than {seconds:g} s.")(environ, start_response)

    return call


def _unmounted(mounts: list[str]) -> WsgiApp:
    def call(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == READY_PATH:
            return Response("ready")(environ, start_response)
        return NotFound(f"No function here; there are {', '.join(mounts)}.")(environ, start_response)

    return call


class _Server(gunicorn.app.base.BaseApplication):  # type: ignore[misc] # gunicorn ships no types
    def __init__(self, orders: dict[str, Any]) -> None:
        self._orders = orders
        super().__init__()

    def load_config(self) -> None:
        settings = {
            "bind": f"fd://{self._orders['socket']}",
            "workers": 1,
            "worker_class": "gthread",
            "threads": _THREADS,
            "timeout": 0,  # each function has a limit of its own
            "graceful_timeout": 2,
            "keepalive": 75,
            "limit_request_line": 0,
            "loglevel": "warning",
            # gunicorn would listen for commands on a socket in the user's home.
            "control_socket_disable": True,
        }
        for name, value in settings.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> WsgiApp:
        return mounted_functions(self._orders["source"], self._orders["functions"])


def main() -> None:
    """Serve until the parent says stop, or is gone. The arguments are modules to import before anything else.

    They are imported before gunicorn forks, so that a worker that died is replaced in a moment. Importing is all that may
    happen then: whatever opens a connection or starts a thread must wait until after the fork.
    """
    for module in sys.argv[1:]:
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    line = sys.stdin.buffer.readline()
    if not line:
        return  # The parent is gone before it gave orders.
    orders = json.loads(line)
    os.environ.update(orders["environment"])
    die_with_parent()
    _Server(orders).run()


if __name__ == "__main__":
    main()
