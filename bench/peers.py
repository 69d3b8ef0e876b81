"""bqloop beside Splink on the same generated deals, one after the other on this machine: time, memory, F1 of the pairs.

    make bench-peers [ARGS="--sizes 10000 50000 --threads 4 --memory 8GB"]

Each runs in a process of its own and gets the same ten days of deals and the same labels. bqloop learns from the labels, with the
threshold for the share of duplicates that it estimates among its candidates; Splink learns by itself (expectation maximisation) or
from the labelled duplicates. `learn` is what is done once in a while (bqloop: a run's features, training and evaluation), `score` what
is done with every deal: all the way from raw deals to clusters. `F1` is that of the pairs called duplicates against all true pairs, found by blocking or not; `best F1` the one at the
threshold that nobody can know without the truth. How Splink is set up stands in `peers_splink.py`.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from bench.loop import MODEL, ask_for_the_share, carry_out, crown, load_day, throw_away_cloud
from bench.scale import FIRST_DAY, SEED, scored
from etl.sample_deals import World, day_batches, generate_labels

HERE = Path(__file__).parent


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench peers", description=__doc__)
    parser.add_argument("--sizes", nargs="+", type=int, default=[10_000, 50_000])
    parser.add_argument("--days", type=int, default=10)
    parser.add_argument("--labels", type=int, default=3000)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--memory", default="8GB")
    parser.add_argument("--python", default=".venv-peers/bin/python", help="the Python that has Splink")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.one:
        print(json.dumps(measure(options.sizes[0], options.days, options.labels, options.one)))
        return
    columns = ("learn s", "score s", "all s", "ms/deal", "peak GB", "pairs/deal", "complete", "F1", "best F1")
    table, told = Table("deals", "who", *columns), []
    for size in options.sizes:
        with tempfile.TemporaryDirectory(prefix="bqloop-peers-") as folder:
            write_world(size, options.days, options.labels, Path(folder))
            seconds, scores = {}, {}
            for who, run in RUNS.items():
                found = run(size, options, Path(folder))
                judged = judge(Path(folder) / f"{who}.parquet", Path(folder) / "truth.parquet")
                whole = seconds[who] = found["learn"] + found["score"]
                scores[who] = judged["f1"]
                table.add_row(
                    f"{judged['deals']:,}",
                    who,
                    f"{found['learn']:.0f}",
                    f"{found['score']:.0f}",
                    f"{whole:.0f}",
                    f"{1000 * whole / judged['deals']:.2f}",
                    f"{found['peak_gb']:.1f}",
                    f"{judged['pairs'] / judged['deals']:.1f}",
                    *(f"{judged[name]:.3f}" for name in ("completeness", "f1", "best_f1")),
                )
            told += verdicts(judged["deals"], seconds, scores)
        Console(width=120).print(table)
    for line in told:
        Console(width=120).print(line, highlight=False)


def verdicts(deals: int, seconds: Mapping[str, float], scores: Mapping[str, float]) -> list[str]:
    """In words, for each peer: who was faster by how much, and at which F1."""
    ours, our_f1 = seconds["bqloop"], scores["bqloop"]
    lines = []
    for peer in (name for name in seconds if name != "bqloop"):
        faster = ours < seconds[peer]
        times = seconds[peer] / ours if faster else ours / seconds[peer]
        better = "better" if our_f1 > scores[peer] else "no better"
        lines.append(
            f"{deals:,} deals: bqloop is {'faster' if faster else 'NOT faster'} than {peer}: {times:.1f} times as "
            f"{'fast' if faster else 'slow'}, at {better} F1 ({our_f1:.3f} against {scores[peer]:.3f})"
        )
    return lines


def write_world(size: int, days: int, labels: int, folder: Path) -> None:
    """The generated deals, labels and truth as Parquet files, for whoever does not read bqloop's tables."""
    world = World(SEED, size // days, FIRST_DAY)
    deals, truth = [], []
    for day in range(days):
        arrived = dt.datetime.combine(FIRST_DAY, dt.time(4), dt.UTC) + dt.timedelta(days=day)
        for batch in day_batches(world, day):
            stamp = pa.array([arrived] * len(batch.deals), pa.timestamp("us", "UTC"))
            deals.append(batch.deals.append_column("ingested_at", stamp))
            truth.append(batch.truth)
    said = [generate_labels(world, day, labels // days) for day in range(days)]
    for name, tables in (("deals", deals), ("truth", truth), ("labels", said)):
        pq.write_table(pa.concat_tables(tables), folder / f"{name}.parquet")


def run_bqloop(size: int, options: argparse.Namespace, folder: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "bench", "peers", "--one", str(folder), "--sizes", str(size)]
    command += ["--days", str(options.days), "--labels", str(options.labels)]
    threads = str(options.threads)
    environment = os.environ | {"BQLOOP_DUCKDB_THREADS": threads, "OMP_NUM_THREADS": threads}
    environment["BQLOOP_DUCKDB_MEMORY"] = options.memory
    return last_line(command, environment)


def run_splink(size: int, options: argparse.Namespace, folder: Path, *, learn: str = "em") -> dict[str, float]:
    files = [str(folder / name) for name in ("deals.parquet", "labels.parquet", f"splink {learn}.parquet")]
    command = [options.python, str(HERE / "peers_splink.py"), *files]
    command += ["--threads", str(options.threads), "--memory", options.memory]
    found = last_line([*command, *(["--labels"] if learn == "labels" else [])], dict(os.environ))
    seconds: Any = found["seconds"]
    score = seconds["prepare"] + seconds["predict"] + seconds["cluster"]
    return {"learn": seconds["train"], "score": score, "peak_gb": found["peak_gb"]}


def last_line(command: list[str], environment: dict[str, str]) -> dict[str, float]:
    """The JSON that a program prints last; its other output is shown only if it fails."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stderr[-4000:]}")
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def measure(size: int, days: int, labels: int, folder: Path) -> dict[str, float]:
    """bqloop, in this process: load, learn, score all that is there; the scored pairs go to `folder`."""
    world = World(SEED, size // days, FIRST_DAY)
    with throw_away_cloud() as app:
        ask_for_the_share(app)
        for day in range(days):
            load_day(app, world, day, day, labels // days)
        as_of = dt.datetime.combine(FIRST_DAY, dt.time(12), dt.UTC) + dt.timedelta(days=days - 1)
        run_id = f"{MODEL}-{as_of:%Y-%m-%d}"
        began = time.monotonic()
        trained = carry_out(app, run_id, as_of, ("check", "features", "train", "evaluate"))
        learn = time.monotonic() - began
        crown(app, run_id, trained["metrics"])
        score = scored(app, f"{run_id}-2", as_of)["seconds"]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        sql = (
            (HERE / "peers_pairs.sql").read_text().replace("DATASET", f"{app.settings.project}.{app.settings.dataset}")
        )
        pairs = app.bigquery.query(sql).result().to_arrow(create_bqstorage_client=False)
        pq.write_table(pairs, folder / "bqloop.parquet")
    return {"learn": learn, "score": score, "peak_gb": peak}


def judge(pairs: Path, truth: Path) -> dict[str, Any]:
    sql = (HERE / "peers_truth.sql").read_text().replace("PAIRS", str(pairs)).replace("TRUTH", str(truth))
    found = duckdb.sql(sql)
    return dict(zip(found.columns, found.fetchall()[0], strict=True))


RUNS: dict[str, Callable[[int, argparse.Namespace, Path], dict[str, float]]] = {
    "bqloop": run_bqloop,
    "splink em": partial(run_splink, learn="em"),
    "splink labels": partial(run_splink, learn="labels"),
}
