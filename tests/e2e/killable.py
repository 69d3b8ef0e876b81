"""One part of the serving path as a process that may be killed: `python -m tests.e2e.killable bigquery|pubsub|service ORDERS`.

The service is the real one with its routes, SQL, index and log; only the endpoint is made up.
"""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from typing import Any


def main() -> None:
    """Run until killed."""
    part, orders = sys.argv[1], json.loads(sys.argv[2])
    {"bigquery": bigquery, "pubsub": pubsub, "service": service}[part](orders)


def bigquery(orders: dict[str, Any]) -> None:
    from infra.local.bigquery import BigQueryServer

    state = Path(orders["state"])
    server = BigQueryServer(
        state / "bigquery", project="bqloop-local", registry=None, storage_root=state / "gs", port=orders["port"]
    )
    server.start()
    wait()


def pubsub(orders: dict[str, Any]) -> None:
    from infra.local.pubsub import PubSubServer

    server = PubSubServer(Path(orders["state"]), port=orders["port"], bigquery_endpoint=orders["bigquery"])
    server.start()
    wait()


def service(orders: dict[str, Any]) -> None:
    from werkzeug.serving import run_simple

    from etl.settings import load_settings
    from functions.service import routes
    from functions.service.asking import Asker
    from functions.service.inference_log import InferenceLog
    from functions.service.scoring import Scorer
    from tests.unit.functions.service.small_service import MODEL, answer, small_service, wsgi_app

    made, _ = small_service()
    made._scorer = Scorer(MODEL, Asker(made.versions, answer), InferenceLog(load_settings("local")))
    routes.service = lambda: made
    print("ready", flush=True)
    run_simple("127.0.0.1", orders["port"], wsgi_app(), threaded=True)


def wait() -> None:
    print("ready", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
