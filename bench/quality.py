"""How good the duplicates are on public offers, through the loop's own import, SQL, training and evaluation.

    python -m bench quality [--datasets abt_buy amazon_google pricerunner] [--seeds 5] [--folder ../shared/datasets]

For each data set and seed: precision, recall and F1 on the test split of the candidate that is best on validation, at the
threshold chosen on validation. `standard` keeps to the splits that came with the data, so that figures compare with
published ones; they are random over pairs, and most records of a test pair also stand in training pairs. `grouped` puts all pairs
of a left record on one side: the honest figure.
"""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import hashlib
import os
import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.loop import MODEL, carry_out, throw_away_cloud
from deployment.application import Application
from etl.ingest import import_deals, import_labels


@dataclass(frozen=True)
class Dataset:
    """Where a data set's files are and what their columns mean; nothing else knows it by name."""

    deals: dict[str, tuple[str, dict[str, str]]]  # file -> source, field -> column
    pairs: dict[str, str]  # split -> file


SPLITS = {"train": "train.csv", "validation": "valid.csv", "test": "test.csv"}
PUBLISHED = {"abt_buy": 0.93, "amazon_google": 0.80, "pricerunner": 0.90}
DATASETS = {
    "abt_buy": Dataset(
        {
            "tableA.csv": ("abt", {"deal_id": "id", "title": "name"}),
            "tableB.csv": ("buy", {"deal_id": "id", "title": "name"}),
        },
        SPLITS,
    ),
    "amazon_google": Dataset(
        {
            "tableA.csv": ("amazon", {"deal_id": "id", "brand": "manufacturer"}),
            "tableB.csv": ("google", {"deal_id": "id", "brand": "manufacturer"}),
        },
        SPLITS,
    ),
    "pricerunner": Dataset(
        {
            "offers.csv": (
                "pricerunner",
                {
                    "deal_id": "product_id",
                    "title": "product_title",
                    "merchant": "vendor_id",
                    "category": "category_label",
                },
            )
        },
        {name: f"pairs_{file}" for name, file in SPLITS.items()},
    ),
}


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench quality", description=__doc__)
    parser.add_argument("--datasets", nargs="+", default=list(DATASETS), choices=list(DATASETS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--no-grouped", action="store_true")
    default = os.environ.get("BQLOOP_DATASETS") or Path(__file__).resolve().parents[2] / "shared" / "datasets"
    parser.add_argument("--folder", type=Path, default=default)
    options = parser.parse_args(arguments)
    table = Table(
        "data set", "splits", "candidate", "threshold", "precision", "recall", "F1", "spread", "asked", "seconds"
    )
    for name in options.datasets:
        for splits in ("standard",) if options.no_grouped else ("standard", "grouped"):
            rows = list(measure(name, options.folder / name, splits, options.seeds if splits == "standard" else 1))
            scores = [row["f1_score"] for row in rows]
            table.add_row(
                name,
                splits,
                ", ".join(sorted({row["name"] for row in rows})),
                *(
                    f"{statistics.mean(row[column] for row in rows):.3f}"
                    for column in ("threshold", "precision", "recall", "f1_score")
                ),
                f"{min(scores):.3f}-{max(scores):.3f}",
                f"{PUBLISHED[name]:.2f}" if splits == "standard" else "",
                f"{statistics.mean(row['seconds'] for row in rows):.0f}",
            )
            Console().print(table)


def measure(name: str, folder: Path, splits: str, seeds: int) -> Iterator[dict[str, Any]]:
    """The test metrics of the candidate that is best on validation, one row a seed."""
    from infra.local.bqml import trees

    with throw_away_cloud() as app:
        _import(app, DATASETS[name], folder, grouped=splits == "grouped")
        as_of = dt.datetime.now(dt.UTC)
        for seed in range(seeds):
            began = dt.datetime.now(dt.UTC)
            trees.SEED = seed
            run_id = f"{MODEL}-{as_of:%Y-%m-%d}" + (f"-{seed + 1}" if seed else "")
            found = carry_out(app, run_id, as_of, ("check", "features", "train", "evaluate"))
            judged = {(row["name"], row["split"]): row for row in found["metrics"]}
            best = max((row["average_precision"], n) for (n, split), row in judged.items() if split == "validation")[1]
            row = dict(judged[best, "test"])
            row["seconds"] = (dt.datetime.now(dt.UTC) - began).total_seconds()
            row["threshold"] = judged[best, "validation"]["threshold"]
            Console(stderr=True).print(
                f"{name} {splits} seed {seed}: {best} {row['f1_score']:.4f}",
                [
                    (n, split, round(r["f1_score"] or 0, 4), round(r["average_precision"] or 0, 4))
                    for (n, split), r in judged.items()
                ],
            )
            yield row


def _import(app: Application, dataset: Dataset, folder: Path, *, grouped: bool) -> None:
    warehouse, templates = app.warehouse(MODEL), app.templates(MODEL)
    for file, (source, mapping) in dataset.deals.items():
        import_deals(warehouse, templates, folder / file, source=source, mapping=mapping)
    sources = [source for source, _ in dataset.deals.values()]
    with tempfile.TemporaryDirectory() as scratch:
        for split, file in dataset.pairs.items():
            path = Path(scratch) / f"{split}.csv"
            with (folder / file).open(newline="") as given, path.open("w", newline="") as ours:
                writer = csv.writer(ours)
                writer.writerow(["left_id", "right_id", "is_duplicate", "split"])
                for row in csv.DictReader(given):
                    kept = _side(row["ltable_id"]) if grouped else split
                    writer.writerow([row["ltable_id"], row["rtable_id"], row["label"], kept])
            import_labels(warehouse, templates, path, left_source=sources[0], right_source=sources[-1])


def _side(record: str) -> str:
    """Sixty, twenty and twenty percent of the left records, by hash."""
    place = int(hashlib.md5(record.encode(), usedforsecurity=False).hexdigest(), 16) % 10
    return "train" if place < 6 else "validation" if place < 8 else "test"
