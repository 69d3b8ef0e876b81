"""A burst of messages and a minute of inferences over HTTP at a steady rate: is anything lost or doubled, does memory grow?

    python -m bench steady [--rate 200] [--seconds 60] [--burst 2000]

A throw-away local cloud trains a champion; the service runs as on Cloud Run, under gunicorn. First a burst of messages
goes to the inference log's topic at once, as if the service had come back with a full buffer; then `/score` is asked at the
rate, whether the answers keep up or not. Every answer that a caller got must stand in `inference_log` once, and so must
every message that was confirmed. Memory is that of all processes together, each shared page counted once.
"""

from __future__ import annotations

import argparse
import datetime as dt
import http.client
import itertools
import json
import multiprocessing
import os
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from bench.serve import ask, local_cloud, service
from etl.ingest import import_deals, import_labels
from etl.sample_deals import World, day_batches, generate_labels, write_day

MODEL = "deal_duplicates"
CALLERS = 64


@dataclass(frozen=True)
class Figures:
    """What came of it.

    Attributes:
        burst: Messages of the burst that were confirmed.
        answered: Requests that were answered with 200.
        failed: Requests that were not, by what came instead.
        seconds: From the first request to the last answer.
        p50_ms: Half of the answers came within so long, from when they were due.
        p99_ms: The same for 99 of 100.
        lost: Confirmed messages and answered requests that are not in the log.
        doubled: Those that are in it more than once.
        megabytes: Memory of all processes, each ten seconds of the minute.
        cpu_ms: What a request cost, in milliseconds of a core, by who worked: a rate needs so many of these a second.
    """

    burst: int
    answered: int
    failed: Counter[str]
    seconds: float
    p50_ms: float
    p99_ms: float
    lost: int
    doubled: int
    megabytes: list[int]
    cpu_ms: dict[str, float]


def main(arguments: list[str]) -> None:
    """Print the figures; the exit code is 1 when anything was lost or doubled."""
    parser = argparse.ArgumentParser(prog="python -m bench steady", description=__doc__)
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--burst", type=int, default=2_000, help="messages at once")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 2, help="processes of the service")
    options = parser.parse_args(arguments)
    found = run(options.rate, options.seconds, options.burst, options.workers)
    print(f"burst: {found.burst:,} messages confirmed")
    print(
        f"minute: {found.answered:,} answered, {found.failed.total()} failed in {found.seconds:.1f} s: "
        f"{found.answered / found.seconds:.0f} a second; p50 {found.p50_ms:.0f} ms, p99 {found.p99_ms:.0f} ms"
    )
    for why, count in found.failed.most_common():
        print(f"{count} failed with {why}")
    print(f"log: {found.lost} lost, {found.doubled} doubled")
    told = ", ".join(f"{who} {milliseconds:.1f}" for who, milliseconds in found.cpu_ms.items())
    print(f"milliseconds of a core a request: {told}; {os.cpu_count()} cores give 1,000 a second each")
    print(f"memory, each ten seconds: {', '.join(f'{megabytes:,}' for megabytes in found.megabytes)} MB")
    raise SystemExit(1 if found.lost or found.doubled else 0)


def run(rate: float, seconds: float, burst: int, workers: int) -> Figures:
    """The burst, and then the requests at the rate."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with ExitStack() as running:
            app, cloud = running.enter_context(local_cloud(folder))
            train(app, folder, 2_000, cloud.trigger)
            port = running.enter_context(service(workers))
            bodies = requests()
            for body in bodies[:40]:
                ask(port, "/score", json.loads(body))  # to warm up
            confirmed = send_burst(app, burst)
            memory: list[int] = []
            ended = threading.Event()
            watch = threading.Thread(target=_watch, args=(memory, ended))
            watch.start()
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as callers:
                began, worked = time.monotonic(), cpu_of_all()
                answers = callers.submit(at_rate, port, bodies, rate, seconds).result()
                took = time.monotonic() - began
                cpu = {who: seconds - worked.get(who, 0.0) for who, seconds in cpu_of_all().items()}
            ended.set()
            watch.join()
            answered = [answer.request_id for answer in answers if answer.request_id]
            lost, doubled = settle(app, [*confirmed, *answered])
            waits = sorted(answer.waited for answer in answers)
            return Figures(
                burst=len(confirmed),
                answered=len(answered),
                failed=Counter(answer.failure for answer in answers if answer.failure),
                seconds=took,
                p50_ms=waits[len(waits) // 2] * 1e3,
                p99_ms=waits[int(len(waits) * 0.99)] * 1e3,
                lost=lost,
                doubled=doubled,
                megabytes=memory,
                cpu_ms={who: seconds * 1e3 / len(answers) for who, seconds in cpu.items()},
            )


def train(app: Any, folder: Path, count: int, trigger: Callable[[str], None]) -> None:
    """Have a champion promoted, by the loop itself."""
    world = World(11, count, dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1))
    write_day(world, 0, folder / "deals.parquet")
    pq.write_table(generate_labels(world, 0, 1_000), folder / "labels.parquet")
    import_deals(app.warehouse(MODEL), app.templates(MODEL), folder / "deals.parquet")
    import_labels(app.warehouse(MODEL), app.templates(MODEL), folder / "labels.parquet")
    trigger("check")
    end = time.monotonic() + 600
    while time.monotonic() < end:
        states = {row["state"] for row in app.ledger(MODEL).read("recent_runs")}
        if "PROMOTED" in states:
            return
        if states & {"FAILED", "REJECTED", "HELD"}:
            break
        time.sleep(0.5)
    raise SystemExit(f"no champion was promoted: {states}; see `bqloop status`")


def requests() -> list[str]:
    """Bodies for `/score`: a pair of generated deals each."""
    world = World(12, 2_000, dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1))
    rows = itertools.islice((row for batch in day_batches(world, 0) for row in batch.deals.to_pylist()), 2_000)
    deals = [
        {key: deal[key] for key in ("source", "deal_id", "title", "brand") if deal.get(key) is not None}
        for deal in rows
    ]
    pairs = zip(deals, [*deals[1:], deals[0]], strict=True)
    return [json.dumps({"pairs": [{"left": left, "right": right}], "rivals": "request"}) for left, right in pairs]


def send_burst(app: Any, count: int) -> list[str]:
    """Publish so many inferences at once; the request IDs of those that were confirmed."""
    from google.cloud.pubsub_v1 import PublisherClient

    publisher, topic = PublisherClient(), app.settings.topic_path(app.settings.inference_log.topic)
    sent = []
    for number in range(count):
        request_id = f"burst-{number}"
        row = {
            "inference_id": f"{request_id}/0",
            "request_id": request_id,
            "answered_at": "2026-03-01T00:00:00Z",
            "route": "score",
            "model": MODEL,
        }
        sent.append((request_id, publisher.publish(topic, json.dumps(row).encode())))
    return [request_id for request_id, future in sent if future.exception(timeout=120) is None]


@dataclass(frozen=True)
class Answer:
    """What a caller got: the request's ID or why it failed, and the seconds from when it was due."""

    request_id: str
    failure: str
    waited: float


def at_rate(port: int, bodies: list[str], rate: float, seconds: float) -> list[Answer]:
    """Ask at the rate."""
    answers: list[Answer] = []
    numbers = itertools.count()
    began = time.monotonic()

    def caller() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while (due := (number := next(numbers)) / rate) < seconds:
            time.sleep(max(0.0, began + due - time.monotonic()))
            request_id = failure = ""
            try:
                connection.request("POST", "/score", bodies[number % len(bodies)], {"Content-Type": "application/json"})
                response = connection.getresponse()
                said = response.read()
                if response.status == 200:
                    request_id = json.loads(said)["request_id"]
                else:
                    failure = f"{response.status} {said.decode(errors='replace')[:300]}"
            except (OSError, http.client.HTTPException) as error:
                failure = repr(error)
                connection.close()
            answers.append(Answer(request_id, failure, time.monotonic() - began - due))

    threads = [threading.Thread(target=caller) for _ in range(CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def settle(app: Any, wanted: list[str]) -> tuple[int, int]:
    """Wait until the log has everything; how many are missing in the end, and how many are there more than once."""
    table = f"{app.settings.project}.{app.settings.dataset}.{app.settings.inference_log.table}"
    end = time.monotonic() + 60
    while True:
        rows = app.bigquery.query(f"SELECT inference_id, request_id FROM `{table}`").result()
        inferences = Counter((row["request_id"], row["inference_id"]) for row in rows)
        there = {request_id for request_id, _ in inferences}
        lost = sum(request_id not in there for request_id in wanted)
        if not lost or time.monotonic() > end:
            return lost, sum(count > 1 for count in inferences.values())
        time.sleep(1.0)


def _watch(megabytes: list[int], ended: threading.Event) -> None:
    megabytes.append(memory_of_all())
    while not ended.wait(10):
        megabytes.append(memory_of_all())


def cpu_of_all() -> dict[str, float]:
    """Seconds of a core that this process and all below it have worked: as the service, the local cloud, and who asks."""
    seconds = dict.fromkeys(("service", "local cloud", "callers"), 0.0)
    for pid in _family():
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            used = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
        except OSError:
            continue
        spawned = b"multiprocessing" in command
        who = "service" if b"gunicorn" in command else "callers" if spawned else "local cloud"
        seconds[who] += sum(map(int, used)) / os.sysconf("SC_CLK_TCK")
    return seconds


def _family() -> set[int]:
    """This process and all below it."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
    ours = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in ours} - ours:
        ours |= more
    return ours


def memory_of_all() -> int:
    """Megabytes of this process and all below it, shared pages counted once among those that share them."""
    kilobytes = 0
    for pid in _family():
        try:
            told = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        kilobytes += next((int(line.split()[1]) for line in told.splitlines() if line.startswith("Pss:")), 0)
    return kilobytes // 1024
