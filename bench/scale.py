"""How time and memory grow with the number of deals: raw deals to clusters, on generated deals with a known truth.

    python -m bench scale [--sizes 100000 1000000] [--days 10] [--labels 3000] [--threads 4] [--memory 8GB] [--tables]

Each size runs in a process of its own: ten days of deals are loaded, a champion is trained on labels that reviewers of the
generated world give, with the threshold for the share of duplicates that it estimates among the candidates, and then the whole
way is timed: clean, block, pair, compare, predict, cluster. Completeness is the share of true
pairs among the candidates, F1 that of the pairs called duplicates against all true pairs, found by blocking or not. Then one
percent of new deals arrives, and only they are worked on. `--tables` tells of each table what it took in both, and the bytes that
BigQuery would have read for it.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import re
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
from rich.console import Console
from rich.table import Table

from bench.loop import MODEL, ask_for_the_share, carry_out, crown, load, load_day, throw_away_cloud
from deployment.application import Application
from etl.sample_deals import World, day_batches

STEPS = {
    "clean": ("clean_deals", "deal_tokens", "token_stats", "deal_weights", "deal_norms"),
    "block": ("deal_keys", "key_stats", "deal_blocks", "superseded_deals", "candidate_pairs", "compared_pairs"),
    "compare": (
        "pair_words",
        "pair_sequences",
        "pair_codes",
        "pair_signals",
        "guess_examples",
        "guess_weights",
        "pair_scores",
        "pair_sides",
        "pair_context",
        "pair_features",
    ),
    "predict": ("pair_probabilities", "current_pairs", "pair_verdicts"),
    "cluster": ("cluster_links", "clusters", "cluster_members"),
}
SEED = 11
FIRST_DAY = dt.date(2026, 1, 1)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench scale", description=__doc__)
    parser.add_argument("--sizes", nargs="+", type=int, default=[100_000])
    parser.add_argument("--days", type=int, default=10)
    parser.add_argument("--labels", type=int, default=3000)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--memory", default="8GB")
    parser.add_argument("--tables", action="store_true", help="seconds and bytes of each table, too")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.one:
        print(json.dumps(measure(options.sizes[0], options.days, options.labels)))
        return
    environment = {
        **os.environ,
        "BQLOOP_DUCKDB_THREADS": str(options.threads),
        "BQLOOP_DUCKDB_MEMORY": options.memory,
        "OMP_NUM_THREADS": str(options.threads),
    }
    table = Table(
        "deals",
        *STEPS,
        "all",
        "ms/deal",
        "pairs/deal",
        "complete",
        "F1",
        "1% day",
        "of all",
        "peak GB",
        title="seconds",
    )
    for size in options.sizes:
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "bench",
                "scale",
                "--one",
                "--sizes",
                str(size),
                "--days",
                str(options.days),
                "--labels",
                str(options.labels),
            ],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        found = json.loads(done.stdout.strip().splitlines()[-1])
        whole = found["seconds"]
        table.add_row(
            f"{found['deals']:,}",
            *(f"{found['steps'][step]:.0f}" for step in STEPS),
            f"{whole:.0f}",
            f"{1000 * whole / found['deals']:.3f}",
            f"{found['pairs'] / found['deals']:.1f}",
            f"{found['completeness']:.3f}",
            f"{found['f1']:.3f}",
            f"{found['day_seconds']:.1f}",
            f"{100 * found['day_seconds'] / whole:.1f} %",
            f"{found['peak_gb']:.1f}",
        )
        Console(width=160).print(table)
        if options.tables:
            Console(width=160).print(by_table(found))


def by_table(found: dict[str, Any]) -> Table:
    """What each table took, in the order in which they were built."""
    shown = Table("table", "seconds", "GB read", "seconds of the 1% day", "GB read", title=f"{found['deals']:,} deals")
    for name, seconds in found["tables"].items():
        shown.add_row(
            name,
            f"{seconds:.1f}",
            f"{found['bytes'][name] / 1e9:.2f}",
            f"{found['day_tables'].get(name, 0.0):.1f}",
            f"{found['day_bytes'].get(name, 0) / 1e9:.2f}",
        )
    return shown


def measure(size: int, days: int, labels: int) -> dict[str, Any]:
    """One size, start to end, in this process."""
    world = World(SEED, size // days, FIRST_DAY)
    small = World(SEED + 1, max(1, size // 100), FIRST_DAY)
    with throw_away_cloud() as app:
        ask_for_the_share(app)
        for day in range(days):
            load_day(app, world, day, day, labels // days)
        noon = dt.datetime.combine(FIRST_DAY, dt.time(12), dt.UTC)
        as_of = noon + dt.timedelta(days=days - 1)
        run_id = f"{MODEL}-{as_of:%Y-%m-%d}"
        trained = carry_out(app, run_id, as_of, ("check", "features", "train", "evaluate"))
        crown(app, run_id, trained["metrics"])
        whole = scored(app, f"{run_id}-2", as_of)
        found = truth_of(app, f"{run_id}-2", world, days)
        load_day(app, small, 0, days, 0)
        added = scored(app, f"{MODEL}-{as_of + dt.timedelta(days=1):%Y-%m-%d}", as_of + dt.timedelta(days=1))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    of_day = {f"day_{name}": added[name] for name in ("seconds", "tables", "bytes")}
    return {**found, **whole, **of_day, "peak_gb": peak}


def scored(app: Application, run_id: str, as_of: dt.datetime) -> dict[str, Any]:
    """Carry out the stage `score` and take its time and its bytes, in all and by table."""
    began = time.monotonic()
    carry_out(app, run_id, as_of, ("score",))
    seconds = time.monotonic() - began
    tables: dict[str, float] = {}
    read: dict[str, int] = {}
    for job in app.bigquery.list_jobs(min_creation_time=dt.datetime.now(dt.UTC) - dt.timedelta(seconds=seconds + 5)):
        match = re.fullmatch(rf"bqloop_{re.escape(run_id)}_score_(.+)_1", job.job_id)
        if match:
            tables[match[1]] = (job.ended - job.started).total_seconds()
            read[match[1]] = job.total_bytes_processed or 0
    tables = dict(reversed(tables.items()))  # jobs are listed from the newest on
    steps = {step: sum(tables.get(name, 0.0) for name in names) for step, names in STEPS.items()}
    return {"seconds": seconds, "steps": steps, "tables": tables, "bytes": read}


def truth_of(app: Application, run_id: str, world: World, days: int) -> dict[str, Any]:
    """Completeness of the candidates and F1 of the pairs called duplicates, against all true pairs."""
    dataset = f"{app.settings.project}.{app.settings.dataset}"
    truth = pa.concat_tables(batch.truth for day in range(days) for batch in day_batches(world, day))
    load(
        app,
        truth.group_by(["source", "deal_id"])
        .aggregate([("offer", "max")])
        .rename_columns(["source", "deal_id", "offer"]),
        "bench_truth",
    )
    query = (Path(__file__).parent / "scale_truth.sql").read_text().replace("DATASET", dataset)
    row = next(iter(app.bigquery.query(query).result()))
    right, called, true = row["called_right"], row["called"], row["true_pairs"]
    return {
        "deals": row["deals"],
        "pairs": row["pairs"],
        "completeness": row["found"] / true,
        "f1": 2 * right / (called + true),
    }
