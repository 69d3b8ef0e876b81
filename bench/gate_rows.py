"""What the gate's SQL costs on many rows: metrics, curve and the paired bootstrap, each statement timed.

    python -m bench gate_rows [--rows 1000000]

The predictions of a champion and two candidates are made up (gate_rows.sql); everything after them is `evaluate/` as it
ships, with the replicates of `model.yml`, on the local BigQuery. The bootstrap draws from counts by block and step of the
score, so its work does not grow with the rows: the column `rows` shows it.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path
from typing import Any

from bench.loop import MODEL, throw_away_cloud
from etl.model_policy import load_policy
from etl.names import Naming
from etl.templates import Templates

STATEMENTS = (
    "curve",
    "thresholds",
    "outcomes",
    "bins",
    "metrics",
    "bootstrap_counts",
    "bootstrap_weights",
    "replicates",
    "intervals",
    "comparison",
)


def main(arguments: list[str]) -> None:
    """Print a row a statement: seconds, and the rows that it leaves."""
    parser = argparse.ArgumentParser(prog="python -m bench gate_rows", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="labelled pairs, a multiple of 1,000")
    options = parser.parse_args(arguments)
    with throw_away_cloud() as app:
        warehouse, templates, policy = app.warehouse(MODEL), app.templates(MODEL), load_policy(MODEL)
        naming = Naming.of(app.settings, MODEL)
        stems = [*templates.stems(f"{MODEL}/evaluate"), "validation_set"]
        made_up = Templates(MODEL, {"gate_rows.sql": Path(__file__).with_name("gate_rows.sql").read_text("utf-8")})

        def timed(source: Templates, path: str, name: str, **parameters: Any) -> None:
            context = {"run_table": naming.run_tables(stems, "bench"), "policy": policy}
            began = time.monotonic()
            warehouse.read(source.render(path, context), {**policy.parameters, **parameters})
            left = app.bigquery.get_table(naming.run_table("bench", name)).num_rows or 0
            print(f"{name:<20}{time.monotonic() - began:>9.1f}{left:>14,}", flush=True)

        print(f"{'statement':<20}{'seconds':>9}{'rows':>14}")
        timed(made_up, "gate_rows.sql", "predictions", rows=options.rows)
        began = time.monotonic()
        for name in STATEMENTS:
            timed(templates, f"{MODEL}/evaluate/{name}.sql", name, champion_threshold=0.5)
        print(f"{'all of evaluate':<20}{time.monotonic() - began:>9.1f}")
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(f"memory at its peak: {peak / 1024 / 1024:.1f} GB, the local BigQuery included")
