"""A Cloud Function as one process a delivery: forked, fed one message, gone.

The parent has imported everything and opened nothing, so that a child is ready in milliseconds and may be killed at any
instruction without anybody else noticing. Reads orders from stdin, a line of JSON each, and answers on stdout with
`{"id", "exit"}` when the child has ended: 0 is the acknowledgement, anything else is none.
"""

from __future__ import annotations

import base64
import json
import os
import selectors
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

from cloudevents.http import CloudEvent

import functions.main
from functions import stage_events
from tests.faults import tiny_model
from tests.faults.calls import Calls, Fault


def main() -> None:
    """Serve orders until stdin ends."""
    orders = os.fdopen(os.dup(0), "rb", buffering=0)
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    children: dict[int, str] = {}
    readable, writable = os.pipe()
    os.set_blocking(writable, False)
    os.set_blocking(readable, False)
    signal.set_wakeup_fd(writable)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    selector = selectors.DefaultSelector()
    selector.register(orders, selectors.EVENT_READ)
    selector.register(readable, selectors.EVENT_READ)
    rest = b""
    while True:
        for key, _ in selector.select():
            if key.fileobj is orders:
                read = orders.read(1 << 20)
                if not read:
                    return
                *lines, rest = (rest + read).split(b"\n")
                for line in lines:
                    order = json.loads(line)
                    pid = os.fork()
                    if pid == 0:
                        _be_the_function(order)
                    children[pid] = order["id"]
            else:
                os.read(readable, 4096)
        _reap(children, answers)


def _reap(children: dict[int, str], answers: Any) -> None:
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        answer = {"id": children.pop(pid), "exit": os.waitstatus_to_exitcode(status)}
        answers.write(json.dumps(answer).encode() + b"\n")


def _be_the_function(order: dict[str, Any]) -> None:
    log = os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        os.environ.update(order["environment"])
        fault = Fault(**order["fault"]) if order["fault"] else None
        Calls(order["addresses"], fault, Path(order["trace"]), Path(order["failed_jobs"])).install()
        tiny_model.put_into(stage_events.application())
        entry_point = stage_events.application().settings.functions[order["function"]].entry_point
        getattr(functions.main, entry_point)(pubsub_event(order["message"]))
        code = 0
    except BaseException:  # noqa: BLE001 -- as functions-framework answers 500 whatever went wrong
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def pubsub_event(message: dict[str, Any]) -> CloudEvent:
    """The CloudEvent that functions-framework makes of a push: `message` has data (text), attributes, id, published."""
    return CloudEvent(
        {"type": "google.cloud.pubsub.topic.v1.messagePublished", "source": "//pubsub.googleapis.com/faults"},
        {
            "message": {
                "data": base64.b64encode(message["data"].encode()).decode(),
                "attributes": message["attributes"],
                "messageId": message["message_id"],
                "publishTime": message["published"],
            }
        },
    )


if __name__ == "__main__":
    main()
