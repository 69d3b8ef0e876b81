"""kill -9 of the whole local cloud, or of its functions alone, at random moments of a run; started again, it has to go on.

While the run goes on, inferences are published as the service does, confirmed one by one: each that was confirmed has to
stand in `inference_log` at the end, whatever was killed in between.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import grpc
from google.pubsub_v1 import PublisherClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport

from deployment.application import Application
from deployment.setup import prepare
from deployment.stages.message import StageMessage
from etl.errors import BqloopError
from etl.settings import load_settings
from infra.local.cloud import SERVICES, client_environment
from tests.faults import tiny_model
from tests.faults.picture import Picture, picture_of
from tests.faults.scenarios import Scenario
from tests.faults.suite import SILENCE_SECONDS, Result
from tests.faults.waiting import patiently, wait_while_moving
from tests.faults.world import ROOT, TINY_ENVIRONMENT, configuration

MODEL = "tiny"
CLOUD_KILLED = "local cloud killed"
# A run takes some seconds; kills fall anywhere in it.
_LATEST_KILL_SECONDS = 4.0
_INFERENCE_PAUSE = 0.02
# Confirmed inferences are lost when none has come into the log for so long.
_LOG_SILENCE_SECONDS = 60.0


class KilledCloud:
    """A local cloud in a process of its own, on one state folder and always on the same ports."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.config = configuration((MODEL,))
        self._ports = dict(zip(SERVICES, _free_ports(len(SERVICES)), strict=True))
        self._process: Any = None
        self.app: Application
        self.publisher: PublisherClient

    @contextlib.contextmanager
    def running(self) -> Iterator[KilledCloud]:
        """Start it with data in it; ended at last, however often it was killed."""
        before = dict(os.environ)
        os.environ |= TINY_ENVIRONMENT | {"BQLOOP_MODELS": json.dumps([MODEL])}
        try:
            self.start()
            endpoints = json.loads((self.state / "cloud.json").read_text())["endpoints"]
            os.environ |= client_environment(self.config["project"], endpoints, self.state / "credentials.json")
            self.app = Application(load_settings("local"))
            tiny_model.put_into(self.app)
            prepare(self.app)
            tiny_model.fill(self.app, MODEL, ingested_at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
            with grpc.insecure_channel(endpoints["pubsub"]) as channel:
                self.publisher = PublisherClient(transport=PublisherGrpcTransport(channel=channel))
                yield self
        finally:
            self.kill()
            os.environ.clear()
            os.environ.update(before)

    @property
    def pid(self) -> int:
        """Process ID of the cloud."""
        return int(self._process.pid)

    def start(self) -> None:
        """Start it and wait until it answers."""
        orders = {"state": str(self.state), "models": [MODEL], "ports": self._ports}
        self.state.mkdir(parents=True, exist_ok=True)
        with (self.state / "cloud.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-m", "tests.faults.cloud_process", json.dumps(orders)],
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=ROOT,
            )
        if self._process.stdout.readline() != b"ready\n":
            raise RuntimeError(f"the cloud did not start: {(self.state / 'cloud.log').read_text()[-2000:]}")

    def kill(self) -> None:
        """kill -9 of everything but the functions, which have to notice by themselves."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._process.stdout.close()

    def kill_functions(self) -> None:
        """kill -9 of the functions; the cloud has to start them again."""
        children = Path(f"/proc/{self._process.pid}/task").glob("*/children")
        for pid in {int(pid) for listed in children for pid in listed.read_text().split()}:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)


class Inferences(threading.Thread):
    """Publishes inferences as the service does, and remembers which were confirmed."""

    def __init__(self, cloud: KilledCloud, run_id: str) -> None:
        super().__init__(name="inferences", daemon=True)
        self._cloud = cloud
        self._run_id = run_id
        self._stopping = threading.Event()
        self.confirmed: list[str] = []

    def run(self) -> None:
        topic = self._cloud.app.settings.topic_path(self._cloud.app.settings.inference_log.topic)
        number = 0
        while not self._stopping.wait(_INFERENCE_PAUSE):
            number += 1
            row = {
                "inference_id": f"{self._run_id}-{number}",
                "request_id": f"{self._run_id}-{number}",
                "answered_at": dt.datetime.now(dt.UTC).isoformat(),
                "route": "score",
                "model": MODEL,
            }
            with contextlib.suppress(Exception):  # not confirmed: the service would have answered 503
                message = {"data": json.dumps(row).encode()}
                self._cloud.publisher.publish(topic=topic, messages=[message], retry=None, timeout=2.0)
                self.confirmed.append(row["inference_id"])

    def stop(self) -> None:
        self._stopping.set()
        self.join()


def run_with_kills(cloud: KilledCloud, run_id: str, kills: int, seed: int) -> Result:
    """Ask for a run, and kill the cloud so often while it goes on, at moments drawn by the seed."""
    result = Result(Scenario(CLOUD_KILLED if kills else "undisturbed", seed=seed))
    draw = random.Random(seed)
    as_of = dt.datetime.fromisoformat(run_id.removeprefix(f"{MODEL}-")).replace(tzinfo=dt.UTC)
    message = StageMessage(model=MODEL, run_id=run_id, stage="check", as_of=as_of, options={"force": True})
    topic = cloud.app.settings.stage_topic("check")
    cloud.publisher.publish(topic=topic, messages=[{"data": message.model_dump_json().encode()}])
    inferences = Inferences(cloud, run_id)
    inferences.start()
    for _ in range(kills):
        time.sleep(draw.uniform(0, _LATEST_KILL_SECONDS))
        if draw.random() < 0.25:
            cloud.kill_functions()
        else:
            cloud.kill()
            cloud.start()
        result.injected += 1
    if not wait_while_moving(
        lambda: _promoted(cloud, run_id), lambda: _events(cloud, run_id), SILENCE_SECONDS, pause=0.5
    ):
        result.stuck.append(f"{run_id}: {_events(cloud, run_id)}")
    inferences.stop()
    missing: list[str] = []

    def all_logged() -> bool:
        missing[:] = _missing(cloud, inferences)
        return not missing

    if not wait_while_moving(all_logged, lambda: len(missing), _LOG_SILENCE_SECONDS, pause=0.5):
        result.lost.append(
            f"{len(missing)} of {len(inferences.confirmed)} inferences are not in the log: {missing[:3]}"
        )
    return result


def killed_runs(
    state: Path, *, seeds: Sequence[int], kills: int, told: Callable[[Result], None] = lambda _: None
) -> list[Result]:
    """A run for each seed, with so many kills, held against an undisturbed one; `told` hears of each as it ends."""
    cloud: Any = KilledCloud(state)
    results = []
    with cloud.running():
        undisturbed = Picture()
        for number, seed in enumerate([0, 0, *seeds], start=-2):
            run_id = f"{MODEL}-{dt.date(2026, 2, 10) + dt.timedelta(days=number)}"
            began = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=1)
            result = run_with_kills(cloud, run_id, kills if number >= 0 else 0, seed)
            time.sleep(0.5)
            picture = patiently(partial(picture_of, cloud, MODEL, run_id, began=began))
            if number < 0:
                undisturbed = picture
                if result.wrong:
                    raise AssertionError(f"the undisturbed run is broken already: {result.wrong}")
                continue
            result.lost += picture.lost(undisturbed)
            result.doubled += picture.doubled(undisturbed)
            results.append(result)
            told(result)
    return results


def _promoted(cloud: KilledCloud, run_id: str) -> bool:
    """Whether the run has come to its end; a challenger on its way gets its tick, as from the scheduler."""
    state = _state(cloud, run_id)
    if state == "CANARY":
        topic = cloud.app.settings.stage_topic("rollout")
        cloud.publisher.publish(topic=topic, messages=[{"data": json.dumps({"model": MODEL}).encode()}])
    return state == "PROMOTED"


def _events(cloud: KilledCloud, run_id: str) -> list[tuple[str, str, int]]:
    try:
        return [(e.stage, e.status, e.attempt) for e in cloud.app.ledger(MODEL).events(run_id)]
    except BqloopError:
        return []


def _state(cloud: KilledCloud, run_id: str) -> str:
    try:
        rows = cloud.app.ledger(MODEL).read("recent_runs")
    except BqloopError:
        return ""
    return next((str(row["state"]) for row in rows if row["run_id"] == run_id), "")


def _missing(cloud: KilledCloud, inferences: Inferences) -> list[str]:
    settings = cloud.app.settings
    table = f"{settings.project}.{settings.dataset}.{settings.inference_log.table}"
    rows = cloud.app.bigquery.query(f"SELECT inference_id FROM `{table}`").result()
    there = {row["inference_id"] for row in rows}
    return [name for name in inferences.confirmed if name not in there]


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports
