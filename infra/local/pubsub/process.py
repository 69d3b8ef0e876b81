"""The child process that is the local Pub/Sub: `python -m infra.local.pubsub.process`, started by `PubSubHost`.

Orders come as lines of JSON on standard input, and each is answered by a line on standard output. The end of standard input
is the end of the parent: then the process ends at once, as if it had been killed itself.
"""

import fcntl
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from infra.local import TURN_SECONDS
from infra.local.credentials import LocalCredentials
from infra.local.pubsub.server import PubSubServer

# A killed predecessor is gone in milliseconds; until then it holds the port.
_PREDECESSOR_SECONDS = 3.0


def main() -> None:
    """Serve until the parent says stop, or is gone."""
    sys.setswitchinterval(TURN_SECONDS)
    signal.signal(signal.SIGTERM, _end)
    server: PubSubServer | None = None
    try:
        while line := sys.stdin.buffer.readline():
            order = json.loads(line)
            answer: dict[str, Any] = {}
            if order["do"] == "start":
                try:
                    server = _started(order)
                    answer = {"port": int(server.endpoint.rpartition(":")[2])}
                except OSError as error:
                    answer = {"error": str(error)}
            elif server is not None:
                {"deliver": server.deliver, "hold": server.hold}[order["do"]]()
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()
        os._exit(1)
    finally:
        if server is not None:
            server.stop()


def _end(*_: object) -> None:
    raise SystemExit


def _started(order: dict[str, Any]) -> PubSubServer:
    state = Path(order["state_dir"])
    state.mkdir(parents=True, exist_ok=True)
    # A bare descriptor, which nothing closes: held to the end of the process, so that no two deliver the same messages.
    fcntl.flock(os.open(state / "lock", os.O_RDWR | os.O_CREAT), fcntl.LOCK_EX)
    credentials = LocalCredentials(Path(order["credentials_dir"]), project=order["project"])
    server = PubSubServer(
        state,
        port=order["port"],
        bigquery_endpoint=order["bigquery_endpoint"],
        identity_token=credentials.identity_token,
    )
    until = time.monotonic() + _PREDECESSOR_SECONDS
    while True:
        try:
            server.start(deliver=False)
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
        else:
            return server


if __name__ == "__main__":
    main()
