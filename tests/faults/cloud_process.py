"""The whole local cloud as one process that may be killed: `python -m tests.faults.cloud_process ORDERS`, a JSON object.

Functions run as always, under functions-framework; their `main.py` is the real one, told where the tiny models are.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
from pathlib import Path

from infra.local.cloud import LocalCloud
from tests.faults.world import configuration

_MAIN = '''"""The real functions, with tiny models among their templates."""

from functions.main import *  # noqa: F403
from functions.stage_events import application
from tests.faults import tiny_model

tiny_model.put_into(application())
'''


def main() -> None:
    """Run until killed or terminated."""
    orders = json.loads(sys.argv[1])
    state = Path(orders["state"])
    root = state / "functions_root"
    (root / "functions").mkdir(parents=True, exist_ok=True)
    (root / "functions" / "main.py").write_text(_MAIN, encoding="utf-8")
    config = configuration(tuple(orders["models"]))
    cloud = LocalCloud(config, state, root=root, ports=orders["ports"], with_scheduler=False)
    cloud.start()
    print("ready", flush=True)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    stop.wait()
    cloud.stop()


if __name__ == "__main__":
    main()
