"""kill -9 of the service, of Pub/Sub and of BigQuery under load: each answered request has exactly one log row in the end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from deployment.application import Application
from deployment.setup import prepare
from etl.settings import environment_file, load_settings
from infra.local.cloud import client_environment
from infra.local.credentials import LocalCredentials
from infra.local.provisioning import provision

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("bigquery", "pubsub", "service")
CALLERS = 4
PATIENCE = 120


class Serving:
    """The three processes, always on the same ports and folders."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = dict(zip(PARTS, _free_ports(len(PARTS)), strict=True))
        self._processes: dict[str, subprocess.Popen[str]] = {}

    def start(self, part: str) -> None:
        state = self.folder / part
        state.mkdir(exist_ok=True)
        orders = {
            "state": str(state),
            "port": self.ports[part],
            "bigquery": f"http://127.0.0.1:{self.ports['bigquery']}",
        }
        command = [sys.executable, "-W", "ignore", "-m", "tests.e2e.killable", part, json.dumps(orders)]
        with (self.folder / f"{part}.log").open("a") as log:
            process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True)
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "ready", (self.folder / f"{part}.log").read_text()[-2000:]
        self._processes[part] = process

    def kill(self, *parts: str) -> None:
        for part in parts:
            self._processes[part].send_signal(signal.SIGKILL)
        for part in parts:
            with self._processes.pop(part) as process:  # closes its pipe
                process.wait(20)

    def stop(self) -> None:
        self.kill(*self._processes)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[tuple[Serving, Application]]:
    parts = Serving(tmp_path)
    before = dict(os.environ)
    config = yaml.safe_load(environment_file("local").read_text(encoding="utf-8"))
    credentials = LocalCredentials(tmp_path, project=config["project"])
    credentials.start()
    endpoints = {
        "bigquery": f"http://127.0.0.1:{parts.ports['bigquery']}",
        "pubsub": f"127.0.0.1:{parts.ports['pubsub']}",
        "storage": "http://127.0.0.1:9",
    }
    try:
        os.environ |= client_environment(config["project"], endpoints, credentials.path)
        os.environ["BQLOOP_INFERENCE_BUFFER"] = str(tmp_path / "buffer")
        parts.start("bigquery")
        app = Application(load_settings("local"))
        prepare(app)
        parts.start("pubsub")
        with grpc.insecure_channel(endpoints["pubsub"]) as channel:
            publisher = PublisherClient(transport=PublisherGrpcTransport(channel=channel))
            subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
            provision(config, publisher, subscriber, functions=None)
        parts.start("service")
        yield parts, app
    finally:
        parts.stop()
        credentials.stop()
        os.environ.clear()
        os.environ.update(before)


class Load:
    """Callers who ask until they are told to stop, and what was answered."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/score"
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(n,)) for n in range(CALLERS)]
        self.answered: dict[str, int] = {}
        self.said: Counter[Any] = Counter()

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, caller: int) -> None:
        number = 0
        while not self._stop.is_set():
            number += 1
            new = {"source": "new", "deal_id": f"{caller}-{number}", "title": "Sony PSLX350H turntable"}
            pairs = [{"left": new, "right": {"source": "a", "deal_id": str(n)}} for n in range(1 + number % 3)]
            body = json.dumps({"pairs": pairs}).encode()
            request = urllib.request.Request(self._url, body, {"Content-Type": "application/json"})
            try:
                with urllib.request.urlopen(request, timeout=30) as response:
                    answer = json.loads(response.read())
            except urllib.error.HTTPError as error:
                self.said[error.code] += 1
            except OSError:
                self.said["no answer"] += 1
                time.sleep(0.05)
            else:
                self.said[200] += 1
                self.answered[answer["request_id"]] = len(pairs)

    def wait_for(self, more: int) -> None:
        """Until that many more requests were answered."""
        end, until = time.monotonic() + PATIENCE, self.said[200] + more
        while self.said[200] < until:
            assert time.monotonic() < end, self.said
            time.sleep(0.05)


def rows_by_request(app: Application, table: str) -> Counter[str]:
    query = f"SELECT request_id, COUNT(*) AS n FROM `{app.settings.project}.{app.settings.dataset}.{table}` GROUP BY 1"
    return Counter({row["request_id"]: row["n"] for row in app.bigquery.query(query).result()})


def test_each_answered_request_has_its_log_rows_once_whatever_was_killed(
    serving: tuple[Serving, Application],
) -> None:
    parts, app = serving
    with Load(parts.ports["service"]) as load:
        load.wait_for(20)
        for killed in (("pubsub",), ("bigquery",), ("service",), ("pubsub", "service"), ("bigquery", "pubsub")):
            parts.kill(*killed)
            if "service" not in killed:
                load.wait_for(20)  # nobody but the log notices
            for part in killed:
                parts.start(part)
            load.wait_for(20)
    assert load.said[500] == 0
    end = time.monotonic() + PATIENCE
    while not (found := rows_by_request(app, "inferences")).keys() >= load.answered.keys():
        missing = len(load.answered.keys() - found.keys())
        assert time.monotonic() < end, f"{missing} of {len(load.answered)} answered requests are not logged"
        time.sleep(0.5)
    assert {request: found[request] for request in load.answered} == load.answered
    written = rows_by_request(app, "inference_log")
    assert all(written[request] >= rows for request, rows in load.answered.items())
