"""How much of the truth blocking finds on public offers, and for how many candidates, beside the ten or so nearest titles.

    python -m bench blocking [--datasets abt_buy amazon_google pricerunner] [--folder ../shared/datasets]

Completeness is the share of the true pairs that are among the candidates. True are the pairs labelled as duplicates, of all
splits, or where the data set says which offer is which product, all pairs of a product. `at most` is how many candidates a record
may choose, `pairs a record` candidate pairs by records, `partners a record` in how many of these pairs a record stands. The nearest
titles are the records of other sources (of all, where there is one source only) with the greatest idf-weighted cosine over the words
of the title: the baseline that blocking has to beat at the same cap.
"""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table
from sklearn.feature_extraction.text import TfidfVectorizer

from bench.loop import MODEL, load, throw_away_cloud
from bench.quality import DATASETS, Dataset
from deployment.application import Application
from deployment.stages.message import StageMessage
from deployment.stages.run import Run
from deployment.stages.tables import of_run
from etl.ingest import import_deals

# Completeness and candidates a record that are asked for; without a completeness, more than the nearest titles.
ASKED = {"abt_buy": (0.99, 15), "amazon_google": (0.99, 15), "pricerunner": (None, 20)}
PRODUCTS = {"pricerunner": ("product_id", "cluster_id")}
ROWS_AT_A_TIME = 500
Pair = tuple[tuple[str, str], tuple[str, str]]


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench blocking", description=__doc__)
    parser.add_argument("--datasets", nargs="+", default=list(ASKED), choices=list(ASKED))
    default = os.environ.get("BQLOOP_DATASETS") or Path(__file__).resolve().parents[2] / "shared" / "datasets"
    parser.add_argument("--folder", type=Path, default=default)
    options = parser.parse_args(arguments)
    table = Table(
        "data set",
        "records",
        "true pairs",
        "candidates",
        "at most",
        "pairs a record",
        "partners a record",
        "complete",
        "asked",
    )
    for name in options.datasets:
        for row in measure(name, options.folder / name):
            table.add_row(*row)
        table.add_section()
    Console(width=150).print(table)


def measure(name: str, folder: Path) -> Iterator[tuple[str, ...]]:
    """One data set: a row for bqloop's blocking, and one for the nearest titles with each cap."""
    dataset = DATASETS[name]
    sources = [source for source, _ in dataset.deals.values()]
    truth = set(true_pairs(name, dataset, folder))
    least, cap = ASKED[name]
    with throw_away_cloud() as app:
        for file, (source, mapping) in dataset.deals.items():
            import_deals(app.warehouse(MODEL), app.templates(MODEL), folder / file, source=source, mapping=mapping)
        records, found = candidates(app, truth)
    policy = app.run(_message()).policy.parameters
    own = "candidates_alone" if len(set(sources)) == 1 else "candidates_elsewhere"
    chosen = str(policy[own]) + ("" if own == "candidates_alone" else f" + {policy['candidates_within']}")

    def row(who: str, at_most: str, pairs: int, hits: int, asked: str) -> tuple[str, ...]:
        shown = (f"{pairs / len(records):.1f}", f"{2 * pairs / len(records):.1f}", f"{hits / len(truth):.4f}", asked)
        return (name, f"{len(records):,}", f"{len(truth):,}", who, at_most, *shown)

    wanted = f">= {least} at <= {cap}" if least else f"above the baseline at <= {cap}"
    yield row("bqloop", chosen, found["pairs"], found["hits"], wanted)
    nearest = nearest_titles(records, cap)
    for count in (10, cap):
        near = {pair for deal, others in nearest.items() for other in others[:count] for pair in [ordered(deal, other)]}
        yield row("nearest titles", str(count), len(near), len(near & truth), "")


def true_pairs(name: str, dataset: Dataset, folder: Path) -> Iterator[Pair]:
    sources = [source for source, _ in dataset.deals.values()]
    if name in PRODUCTS:
        key, product = PRODUCTS[name]
        members: dict[str, list[str]] = {}
        for file in dataset.deals:
            for row in _rows(folder / file):
                members.setdefault(row[product], []).append(row[key])
        for deals in members.values():
            for one, two in itertools.combinations(deals, 2):
                yield ordered((sources[0], one), (sources[-1], two))
        return
    for file in dataset.pairs.values():
        for row in _rows(folder / file):
            if row["label"] == "1":
                yield ordered((sources[0], row["ltable_id"]), (sources[-1], row["rtable_id"]))


def ordered(one: tuple[str, str], two: tuple[str, str]) -> Pair:
    return (one, two) if one < two else (two, one)


def candidates(app: Application, truth: set[Pair]) -> tuple[dict[tuple[str, str], str], dict[str, int]]:
    """The titles by record, and how many pairs blocking chose and how many of them are true."""
    run: Run = app.run(_message())
    tables = of_run(run)
    tables.build(("candidate_pairs", "clean_deals"))
    columns = ("left_source", "left_id", "right_source", "right_id")
    rows = [(*one, *two) for one, two in truth]
    load(app, pa.table({name: [row[place] for row in rows] for place, name in enumerate(columns)}), "bench_truth")
    sql = (Path(__file__).parent / "blocking_truth.sql").read_text()
    for name in ("candidate_pairs", "clean_deals"):
        sql = sql.replace(name.upper(), tables.name(name))
    dataset = f"{app.settings.project}.{app.settings.dataset}"
    found = dict(next(iter(app.bigquery.query(sql.replace("DATASET", dataset)).result())).items())
    deals = app.bigquery.list_rows(f"{dataset}.raw_deals").to_arrow(create_bqstorage_client=False).to_pylist()
    return {(deal["source"], deal["deal_id"]): deal["title"] for deal in deals}, found


def nearest_titles(records: dict[tuple[str, str], str], count: int) -> dict[tuple[str, str], list[tuple[str, str]]]:
    """For each record the nearest ones of other sources by idf-weighted cosine over the title's words, nearest first."""
    keys = list(records)
    words = TfidfVectorizer(binary=True, smooth_idf=False, token_pattern=r"[^\W_]+")
    rows: Any = words.fit_transform(records.values())
    sources = np.array([source for source, _ in keys])
    alone = len(set(sources)) == 1
    nearest = {}
    for start in range(0, len(keys), ROWS_AT_A_TIME):
        likeness = (rows[start : start + ROWS_AT_A_TIME] @ rows.T).toarray()
        for offset, line in enumerate(likeness):
            place = start + offset
            line[place] = 0
            if not alone:
                line[sources == sources[place]] = 0
            best = np.argpartition(-line, count)[:count]
            best = best[np.argsort(-line[best], kind="stable")]
            nearest[keys[place]] = [keys[other] for other in best if line[other] > 0]
    return nearest


def _message() -> StageMessage:
    return StageMessage(model=MODEL, run_id=f"{MODEL}-blocking", stage="features", as_of=dt.datetime.now(dt.UTC))


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(newline="") as file:
        yield from csv.DictReader(file)
