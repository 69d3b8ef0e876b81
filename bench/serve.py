"""How quick the service is, beside a bare app that asks the same endpoint; both on this machine, in one run.

A throw-away local cloud trains a first champion on generated deals; then both apps are asked over HTTP by 1, 8 and 32
callers. Confirmed logging is part of what is measured.
"""

from __future__ import annotations

import argparse
import datetime as dt
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
MODEL = "deal_duplicates"


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench serve", description=__doc__)
    parser.add_argument("--deals", type=int, default=2_000, help="known deals, which the index holds")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each row is measured")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 2, help="processes of each app")
    options = parser.parse_args(argv)
    with (
        tempfile.TemporaryDirectory() as folder,
        local_cloud(Path(folder), options.deals) as deals,
        bare_app(options.workers) as bare,
        service(options.workers) as port,
    ):
        measure(bare, port, deals, options.seconds)


@contextmanager
def local_cloud(folder: Path, count: int) -> Iterator[list[dict[str, Any]]]:
    """A cloud with a champion; gives the deals that it knows."""
    import yaml

    from deployment.application import Application
    from deployment.setup import prepare
    from etl.settings import environment_file, load_settings
    from infra.local.cloud import LocalCloud

    config = yaml.safe_load(environment_file("local").read_text())
    cloud = LocalCloud(config, folder / "state", root=ROOT, with_scheduler=False)
    cloud.start()
    try:
        os.environ.update(cloud.environment(), BQLOOP_INFERENCE_BUFFER=str(folder / "buffer"))
        app = Application(load_settings("local"))
        prepare(app)
        yield train(app, folder, count, cloud.trigger)
    finally:
        cloud.stop()


def train(app: Any, folder: Path, count: int, trigger: Callable[[str], None]) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    from etl.ingest import import_deals, import_labels
    from etl.sample_deals import World, generate_labels, write_day

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
            columns = ("source", "deal_id", "title", "description", "brand")
            return pq.read_table(folder / "deals.parquet", columns=list(columns)).to_pylist()
        if states & {"FAILED", "REJECTED", "HELD"}:
            break
        time.sleep(0.5)
    raise SystemExit(f"no champion was promoted: {states}; see `bqloop status`")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def process(command: list[str], port: int, path: str) -> Iterator[int]:
    started = time.perf_counter()
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not answers(port, path):
            if child.poll() is not None or time.perf_counter() - started > 180:
                raise SystemExit(f"{' '.join(command)} did not start")
            time.sleep(0.1)
        print(f"{path} of {Path(command[2]).name} answered after {time.perf_counter() - started:.1f} s (cold start)")
        yield port
    finally:
        child.terminate()
        child.wait(20)


def answers(port: int, path: str) -> bool:
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except OSError:
        return False


@contextmanager
def bare_app(workers: int) -> Iterator[int]:
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "bench.serve_bare:app", "--port", str(port), "--workers", str(workers)]
    with process([*command, "--log-level", "error"], port, "/openapi.json"):
        yield port


@contextmanager
def service(workers: int) -> Iterator[int]:
    port = free_port()
    app = 'functions_framework:create_app(target="service", source="functions/main.py", signature_type="http")'
    command = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--workers", str(workers)]
    command += ["--worker-class", "gthread", "--threads", "8", "--keep-alive", "75", "--log-level", "error", app]
    with process(command, port, "/readyz"):
        yield port


def measure(bare: int, port: int, deals: list[dict[str, Any]], seconds: float) -> None:
    whole = [{k: v for k, v in deal.items() if v is not None} for deal in deals]

    def pairs(n: int, count: int) -> list[dict[str, Any]]:
        one = {**whole[n % len(whole)], "source": "asked", "deal_id": f"asked-{n}"}
        return [{"left": one, "right": whole[(n + 1 + place) % len(whole)]} for place in range(count)]

    def score(count: int, rivals: str) -> Callable[[int], tuple[str, Any]]:
        return lambda n: ("/score", {"pairs": pairs(n, count), "rivals": rivals})

    def duplicates(n: int) -> tuple[str, Any]:
        deal = {**whole[n % len(whole)], "source": "asked", "deal_id": f"new-{n}"}
        return "/duplicates", {"deals": [deal], "explain": False}

    features = [r["features"] for r in ask(port, "/score", {"pairs": pairs(0, 20), "features": True})["results"]]
    rows: list[tuple[str, int, Callable[[int], tuple[str, Any]]]] = [
        ("bare app, 1 row", bare, lambda _: ("/predict", {"instances": features[:1]})),
        ("bare app, 20 rows", bare, lambda _: ("/predict", {"instances": features})),
        ("/score, 1 pair by itself", port, score(1, "request")),
        ("/score, 1 pair among its rivals", port, score(1, "index")),
        ("/score, 20 pairs by themselves", port, score(20, "request")),
        (f"/duplicates, 1 deal of {len(whole):,}", port, duplicates),
    ]
    print(f"\n{'':36}{'callers':>8}{'p50 ms':>10}{'p99 ms':>10}{'per second':>12}{'failed':>8}")
    for name, where, request in rows:
        for callers in (1, 8, 32):
            spent, failed, elapsed = load(where, request, callers, seconds)
            p99 = spent[max(0, int(len(spent) * 0.99) - 1)]
            p50 = statistics.median(spent)
            print(f"{name:36}{callers:>8}{p50:>10.1f}{p99:>10.1f}{len(spent) / elapsed:>12.1f}{failed:>8}", flush=True)


def load(
    port: int, request: Callable[[int], tuple[str, Any]], callers: int, seconds: float
) -> tuple[list[float], int, float]:
    """Milliseconds of each answered request, sorted; how many failed; how long it all took, seconds."""
    spent: list[float] = []
    failures: list[int] = []
    end = time.perf_counter() + seconds

    def caller(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        n = number * 1_000
        while time.perf_counter() < end:
            path, body = request(n)
            n += 1
            started = time.perf_counter()
            connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
            response = connection.getresponse()
            response.read()
            if response.status != 200:
                failures.append(response.status)
            spent.append((time.perf_counter() - started) * 1e3)

    started = time.perf_counter()
    threads = [threading.Thread(target=caller, args=(n,)) for n in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(spent), len(failures), time.perf_counter() - started


def ask(port: int, path: str, body: Any) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    response = connection.getresponse()
    answer = json.loads(response.read())
    if response.status != 200:
        raise SystemExit(f"{path}: {answer}")
    return answer
