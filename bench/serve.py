"""How quick the service is, beside a bare app that asks the same endpoint; both on this machine, in one run.

A local cloud trains a champion on generated deals, as many as the service then knows, and the service's index of them is built; then
both apps are asked over HTTP by 1, 8 and 32 callers, which are a process of their own, about deals of the day after. Confirmed
logging is part of what is measured, and so is the cloud: what answers for Vertex AI, in a process of its own, and for Pub/Sub and
BigQuery runs on the same cores.
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
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
MODEL = "deal_duplicates"
# Days on which the known deals came, and labels of them.
DAYS, LABELS = 10, 3_000
ASKED = ("source", "deal_id", "title", "description", "brand")
# A path and the body that is sent to it.
Asked = tuple[str, str]


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench serve", description=__doc__)
    parser.add_argument("--deals", type=int, default=1_000_000, help="known deals")
    parser.add_argument("--seconds", type=float, default=2.0, help="how long each row is measured in each round")
    parser.add_argument("--rounds", type=int, default=4, help="how often all is measured, one row after the other")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 2, help="processes of each app")
    parser.add_argument("--keep", type=Path, help="a folder in which cloud and index are kept for the next time")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as name:
        folder = (options.keep or Path(name)).absolute()
        with local_cloud(folder) as (app, _):
            deals = serve_generated(app, folder, options.deals, options.workers)
            with endpoint_apart(app, folder), bare_app(options.workers) as bare, service(options.workers) as port:
                measure(bare, port, deals, options.deals, options.seconds, options.rounds)


@contextmanager
def local_cloud(folder: Path) -> Iterator[tuple[Any, Any]]:
    """A cloud that is kept in a folder; gives the application on it, and the cloud."""
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
        yield app, cloud
    finally:
        cloud.stop()


@contextmanager
def endpoint_apart(app: Any, folder: Path) -> Iterator[None]:
    """Have the endpoint answer from a process of its own.

    On Google Cloud it is a service of its own; in the local cloud's process each answer would wait while the log of the answers
    before is written to BigQuery.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_answer, args=(folder / "state", app.settings.project, there), daemon=True)
    process.start()
    there.close()  # so that a process that dies is not waited for
    try:
        os.environ["BQLOOP_ENDPOINTS__VERTEX"] = here.recv()
        yield
    finally:
        here.send(None)
        process.join(10)


def _answer(state: Path, project: str, pipe: Connection) -> None:
    from infra.local.bqml.model import Model
    from infra.local.vertex import VertexServer

    server = VertexServer(state / "vertex", project=project, load_model=Model.load)
    server.start()
    pipe.send(server.endpoint)
    pipe.recv()
    server.stop()


def serve_generated(app: Any, folder: Path, count: int, processes: int) -> list[dict[str, Any]]:
    """Have a champion answer that was trained on generated deals, and an index of these; gives deals of the day after."""
    from bench.loop import carry_out, crown, load_day
    from deployment.endpoint import Endpoint
    from etl.sample_deals import World, day_batches
    from functions.service.index_keeper import IndexKeeper
    from functions.service.versions import Versions, serving_policy_of
    from functions.service.workers import Workers

    asked, endpoint = folder / "asked.json", Endpoint(app.settings, MODEL)
    if not asked.exists():
        now = dt.datetime.now(dt.UTC)
        world = World(11, count // DAYS, now.date() - dt.timedelta(days=DAYS))
        started = time.perf_counter()
        for day in range(DAYS):
            load_day(app, world, day, day, LABELS // DAYS)
        run_id = f"{MODEL}-{now:%Y-%m-%d}"
        trained = carry_out(app, run_id, now, ("check", "features", "train", "evaluate"))
        endpoint.deploy(crown(app, run_id, trained["metrics"]), share=100)
        print(f"a champion after {time.perf_counter() - started:.0f} s", flush=True)
        new = itertools.islice((row for batch in day_batches(world, DAYS) for row in batch.deals.to_pylist()), 5_000)
        asked.write_text(json.dumps([{k: v for k, v in deal.items() if k in ASKED and v is not None} for deal in new]))
    started = time.perf_counter()
    version = Versions(app, MODEL, endpoint).traffic().main
    print(f"version read in {time.perf_counter() - started:.0f} s", flush=True)
    os.environ["BQLOOP_INDEX"] = str(folder / "index")
    workers = Workers(processes, lambda step, deals: print(f"  {step}: {deals:,} deals done", flush=True))
    keeper = IndexKeeper(app, MODEL, serving_policy_of(app, MODEL))
    started = time.perf_counter()
    known = keeper.build_files(version, folder / "index", workers)
    most = [resource.getrusage(who).ru_maxrss / 2**20 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(f"index of {known:,} deals: {time.perf_counter() - started:.0f} s by {processes} processes", end="")
    print(
        f"; most memory {most[0]:.1f} GiB in the first, the cloud's included, {most[1]:.1f} GiB in each of the others"
    )
    size = sum(file.stat().st_size for file in (folder / "index").rglob("*") if file.is_file())
    print(f"index on disk: {size / 2**20:,.0f} MiB", flush=True)
    found: list[dict[str, Any]] = json.loads(asked.read_text())
    return found


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
    command = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--workers", str(workers)]
    command += ["--worker-class", "gthread", "--threads", "3", "--worker-connections", "3"]
    command += ["--keep-alive", "0", "--log-level", "error", "functions.service.wsgi:application"]
    with process(command, port, "/readyz"):
        yield port


def measure(bare: int, port: int, deals: list[dict[str, Any]], known: int, seconds: float, rounds: int) -> None:
    """Print what each row took: in rounds, because a machine that changes its pace would change what one row is to another."""
    whole = [{k: v for k, v in deal.items() if v is not None} for deal in deals]

    def pairs(n: int, count: int) -> list[dict[str, Any]]:
        one = {**whole[n % len(whole)], "source": "asked", "deal_id": f"asked-{n}"}
        return [{"left": one, "right": whole[(n + 1 + place) % len(whole)]} for place in range(count)]

    def score(count: int, rivals: str) -> list[Asked]:
        return [("/score", json.dumps({"pairs": pairs(n, count), "rivals": rivals})) for n in range(2_000)]

    def duplicates() -> list[Asked]:
        new = ({**deal, "source": "asked", "deal_id": f"new-{n}"} for n, deal in enumerate(whole))
        return [("/duplicates", json.dumps({"deals": [deal], "explain": False})) for deal in new]

    def ready(path: str, count: int) -> list[Asked]:
        return [(path, json.dumps({"instances": features[:count]}))]

    features = [r["features"] for r in ask(port, "/score", {"pairs": pairs(0, 20), "features": True})["results"]]
    rows: list[tuple[str, int, list[Asked]]] = [
        ("bare app, Google's client, 1 row", bare, ready("/predict", 1)),
        ("bare app, our request, 1 row", bare, ready("/lean", 1)),
        ("bare app, Google's client, 20 rows", bare, ready("/predict", 20)),
        ("bare app, our request, 20 rows", bare, ready("/lean", 20)),
        ("/score, 1 pair by itself", port, score(1, "request")),
        ("/score, 1 pair among its rivals", port, score(1, "index")),
        ("/score, 20 pairs by themselves", port, score(20, "request")),
        ("/score, 20 pairs among their rivals", port, score(20, "index")),
        (f"/duplicates, 1 deal of {known:,}", port, duplicates()),
    ]
    found: dict[tuple[str, int], tuple[list[float], list[int], list[float]]] = {}
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as callers_process:

        def asked_by(callers: int, where: int, requests: list[Asked], seconds: float) -> tuple[list[float], int, float]:
            return callers_process.submit(load, where, requests, callers, seconds).result()

        for place in (0, 1, -1):  # until each process of both apps has loaded what it needs
            _, where, requests = rows[place]
            asked_by(32, where, requests, 10.0)
        for number in range(rounds):
            print(f"  round {number + 1} of {rounds}", flush=True)
            for callers in (1, 8, 32):
                for name, where, requests in rows:
                    asked_by(callers, where, requests, 0.5)  # to warm up
                    spent, failed, elapsed = asked_by(callers, where, requests, seconds)
                    times, failures, whiles = found.setdefault((name, callers), ([], [], []))
                    times += spent
                    failures.append(failed)
                    whiles.append(elapsed)
    print(f"\n{'':36}{'callers':>8}{'p50 ms':>10}{'p99 ms':>10}{'per second':>12}{'failed':>8}")
    for name, _, _ in rows:
        for callers in (1, 8, 32):
            times, failures, whiles = found[name, callers]
            p99 = sorted(times)[max(0, int(len(times) * 0.99) - 1)]
            print(
                f"{name:36}{callers:>8}{statistics.median(times):>10.1f}{p99:>10.1f}"
                f"{len(times) / sum(whiles):>12.1f}{sum(failures):>8}"
            )
    for callers in (1, 8, 32):
        named = ("bare app, Google's client, 1 row", "bare app, our request, 1 row", "/score, 1 pair by itself")
        theirs, lean, ours = (statistics.median(found[name, callers][0]) for name in named)
        print(
            f"/score of 1 pair by itself, asked by {callers}: {ours / theirs:.2f} times what the bare app takes with Google's client, "
            f"{ours / lean:.2f} times what it takes with our request"
        )


def load(port: int, requests: list[Asked], callers: int, seconds: float) -> tuple[list[float], int, float]:
    """Milliseconds of each answered request; how many failed; how long it all took, seconds."""
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
    return spent, len(failures), time.perf_counter() - started


def ask(port: int, path: str, body: Any) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    response = connection.getresponse()
    answer = json.loads(response.read())
    if response.status != 200:
        raise SystemExit(f"{path}: {answer}")
    return answer
