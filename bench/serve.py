"""How quick the service is, beside a bare app that asks the same endpoint; both on this machine, in one run.

A throw-away local cloud trains a first champion on generated deals, and an index of many more is built for it; then both apps are
asked over HTTP by 1, 8 and 32 callers, which are a process of their own. Confirmed logging is part of what is measured, and
so is the cloud: what answers for Vertex AI and Pub/Sub runs on the same cores.
"""

from __future__ import annotations

import argparse
import datetime as dt
import http.client
import itertools
import json
import multiprocessing
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
MODEL = "deal_duplicates"
ASKED = ("source", "deal_id", "title", "description", "brand")
Asked = tuple[str, Any]


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench serve", description=__doc__)
    parser.add_argument("--deals", type=int, default=1_000_000, help="known deals, which the index holds")
    parser.add_argument("--trained", type=int, default=2_000, help="deals that the champion is trained on")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each row is measured")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 2, help="processes of each app")
    parser.add_argument("--index", type=Path, help="a folder in which the index is kept for the next time")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with local_cloud(folder, options.trained) as app:
            index, deals = build_index(app, options.index or folder, options.deals, options.workers)
            os.environ["BQLOOP_INDEX"] = str(index)
            with bare_app(options.workers) as bare, service(options.workers) as port:
                measure(bare, port, deals, options.deals, options.seconds)


@contextmanager
def local_cloud(folder: Path, count: int) -> Iterator[Any]:
    """A cloud with a champion; gives the application on it."""
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
        train(app, folder, count, cloud.trigger)
        yield app
    finally:
        cloud.stop()


def train(app: Any, folder: Path, count: int, trigger: Callable[[str], None]) -> None:
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
            return
        if states & {"FAILED", "REJECTED", "HELD"}:
            break
        time.sleep(0.5)
    raise SystemExit(f"no champion was promoted: {states}; see `bqloop status`")


def build_index(app: Any, folder: Path, count: int, processes: int) -> tuple[Path, list[dict[str, Any]]]:
    """An index of generated deals for the version that serves; gives its folder and some of the deals."""
    from deployment.endpoint import Endpoint
    from functions.service.shared_index import SharedIndexes
    from functions.service.versions import Versions

    (version,) = Versions(app, MODEL, Endpoint(app.settings, MODEL)).traffic().versions.values()
    compiled = version.program.compiled
    if compiled is None:
        raise SystemExit("the version's SQL could not be compiled; the log says why")
    folder.mkdir(parents=True, exist_ok=True)
    shared = SharedIndexes(folder / "index", MODEL)
    where = shared.folder_of(compiled, version.version)
    deals = generated(folder / f"deals-{count}.parquet", count)
    if not where.is_dir():
        started = time.perf_counter()
        known = shared.build(compiled, deals, where, dt.datetime.now(dt.UTC), processes=processes)
        most = (
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
            resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss,
        )
        print(
            f"index of {known:,} deals: built in {time.perf_counter() - started:.0f} s by {processes} processes", end=""
        )
        print(f"; most memory {most[0] / 2**20:.1f} GiB in the first, {most[1] / 2**20:.1f} GiB in each of the others")
    size = sum(file.stat().st_size for file in where.iterdir())
    print(f"index on disk: {size / 2**20:,.0f} MiB")
    some = [{k: v for k, v in deal.items() if k in ASKED} for deal in itertools.islice(deals, 5_000)]
    return folder / "index", some


class generated:  # noqa: N801 -- read like a function
    """Generated deals as raw_deals has them, read from a file as often as somebody wants them."""

    def __init__(self, path: Path, count: int) -> None:
        from etl.sample_deals import World, write_day

        self.path = path
        if not path.exists():
            write_day(World(12, count, dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1)), 0, path)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        import pyarrow.parquet as pq

        from functions.service.values import DEAL_COLUMNS

        seen = dt.datetime.now(dt.UTC).replace(tzinfo=None) - dt.timedelta(hours=1)
        for batch in pq.ParquetFile(self.path).iter_batches(20_000):
            for row in batch.to_pylist():
                yield {name: plain(name, row.get(name)) for name in DEAL_COLUMNS} | {"ingested_at": seen}


def plain(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name in {"price", "list_price"}:
        return Decimal(str(value))
    if name in {"starts_at", "ends_at"}:
        moment = dt.datetime.fromisoformat(value) if isinstance(value, str) else value
        return moment.astimezone(dt.UTC).replace(tzinfo=None) if moment.tzinfo else moment
    return value


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
    command += ["--worker-class", "gthread", "--threads", "8", "--keep-alive", "0", "--log-level", "error", app]
    with process(command, port, "/readyz"):
        yield port


def measure(bare: int, port: int, deals: list[dict[str, Any]], known: int, seconds: float) -> None:
    whole = [{k: v for k, v in deal.items() if v is not None} for deal in deals]

    def pairs(n: int, count: int) -> list[dict[str, Any]]:
        one = {**whole[n % len(whole)], "source": "asked", "deal_id": f"asked-{n}"}
        return [{"left": one, "right": whole[(n + 1 + place) % len(whole)]} for place in range(count)]

    def score(count: int, rivals: str) -> list[Asked]:
        return [("/score", {"pairs": pairs(n, count), "rivals": rivals}) for n in range(2_000)]

    def duplicates() -> list[Asked]:
        new = ({**deal, "source": "asked", "deal_id": f"new-{n}"} for n, deal in enumerate(whole))
        return [("/duplicates", {"deals": [deal], "explain": False}) for deal in new]

    features = [r["features"] for r in ask(port, "/score", {"pairs": pairs(0, 20), "features": True})["results"]]
    rows: list[tuple[str, int, list[Asked]]] = [
        ("bare app, 1 row", bare, [("/predict", {"instances": features[:1]})]),
        ("bare app, 20 rows", bare, [("/predict", {"instances": features})]),
        ("/score, 1 pair by itself", port, score(1, "request")),
        ("/score, 1 pair among its rivals", port, score(1, "index")),
        ("/score, 20 pairs by themselves", port, score(20, "request")),
        ("/score, 20 pairs among their rivals", port, score(20, "index")),
        (f"/duplicates, 1 deal of {known:,}", port, duplicates()),
    ]
    print(f"\n{'':36}{'callers':>8}{'p50 ms':>10}{'p99 ms':>10}{'per second':>12}{'failed':>8}")
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as callers_process:
        for _, where, requests in (rows[0], rows[-1]):  # until each process of both apps has loaded what it needs
            callers_process.submit(load, where, [(p, json.dumps(b)) for p, b in requests], 32, 10.0).result()
        for name, where, requests in rows:
            for callers in (1, 8, 32):
                asked = [(path, json.dumps(body)) for path, body in requests]
                callers_process.submit(load, where, asked, callers, 1.0).result()  # to warm up
                spent, failed, elapsed = callers_process.submit(load, where, asked, callers, seconds).result()
                p99 = spent[max(0, int(len(spent) * 0.99) - 1)]
                p50 = statistics.median(spent)
                rate = len(spent) / elapsed
                print(f"{name:36}{callers:>8}{p50:>10.1f}{p99:>10.1f}{rate:>12.1f}{failed:>8}", flush=True)


def load(port: int, requests: list[tuple[str, str]], callers: int, seconds: float) -> tuple[list[float], int, float]:
    """Milliseconds of each answered request, sorted; how many failed; how long it all took, seconds."""
    spent: list[float] = []
    failures: list[int] = []
    end = time.perf_counter() + seconds

    def caller(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        n = number * 997
        while time.perf_counter() < end:
            path, body = requests[n % len(requests)]
            n += 1
            started = time.perf_counter()
            connection.request("POST", path, body, {"Content-Type": "application/json"})
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
