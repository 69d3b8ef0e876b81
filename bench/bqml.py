"""Measures the BigQuery ML library beside the same work done directly, side by side in one run.

    python -m bench bqml [--rows 1000000] [--features 30] [--repeat 3]

Prints one line a measurement: what, seconds (the best of the repeats), and the ratio or rate that is asked of it. Training is
held against XGBoost on the same matrix, and against the same solver on a NumPy matrix; both sides read the same Arrow
table, and both take turns, so that a busy machine slows both. `..._from_table` reads the rows, too: CREATE MODEL over REST
from a table of the local BigQuery, beside DuckDB's `fetchnumpy` from a table of its own and XGBoost or the solver.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xgboost
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from infra.local.bigquery import BigQueryServer
from infra.local.bqml import Model, ModelSpec, call, train
from infra.local.bqml.design import Design
from infra.local.bqml.gradient_descent import Descent, descend
from infra.local.bqml.linear_losses import BinaryLogLoss
from infra.local.bqml.progress import Progress


def table_of(rows: int, features: int) -> pa.Table:
    """Numeric features and a label that depends on some of them."""
    generator = np.random.default_rng(1)
    columns: dict[str, Any] = {f"x{i}": generator.normal(size=rows) for i in range(features)}
    signal = columns["x0"] - 0.5 * columns["x1"] + columns["x2"] * columns["x3"]
    columns["label"] = (signal + generator.normal(size=rows) > 0).astype(np.int64)
    return pa.table(columns)


def features_of(table: pa.Table) -> list[str]:
    return [name for name in table.schema.names if name != "label"]


def xgboost_directly(table: pa.Table) -> None:
    matrix = np.column_stack([table.column(name).to_numpy() for name in features_of(table)]).astype(np.float32)
    data = xgboost.DMatrix(matrix, label=table.column("label").to_numpy())
    params = {
        "objective": "binary:logistic",
        "base_score": 0.5,
        "tree_method": "hist",
        "max_depth": 6,
        "eta": 0.3,
        "eval_metric": "logloss",
    }
    xgboost.train(params, data, num_boost_round=20, evals=[(data, "train")], verbose_eval=False)


def logistic_directly(table: pa.Table) -> None:
    matrix = np.asfortranarray(np.column_stack([table.column(name).to_numpy() for name in features_of(table)]))
    matrix = (matrix - matrix.mean(axis=0)) / matrix.std(axis=0)
    options = Descent(True, 0.1, 20, False, 0.01, 0.0, 0.0)
    descend(
        Design(np.asfortranarray(matrix), None, True),
        BinaryLogLoss(1 - table.column("label").to_numpy(), None),
        options,
        Progress(),
    )


def bqml(table: pa.Table, **options: Any) -> Model:
    return train(ModelSpec.of({"early_stop": False, **options}), table)


@contextmanager
def warehouse(table: pa.Table) -> Iterator[tuple[Callable[[str], Any], Callable[[], pa.Table]]]:
    """The same rows in the local BigQuery (carries out a statement) and in a database of DuckDB's own (reads them)."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = BigQueryServer(folder / "state", project="bench", storage_root=folder / "gs")
        server.start()
        try:
            anonymous = AnonymousCredentials()  # type: ignore[no-untyped-call]  # google-auth types it nowhere
            client = bigquery.Client("bench", anonymous, client_options={"api_endpoint": server.endpoint})
            client.create_dataset("d")
            pq.write_table(table, folder / "rows.parquet")
            config = bigquery.LoadJobConfig(source_format="PARQUET")
            with (folder / "rows.parquet").open("rb") as file:
                client.load_table_from_file(file, "d.t", job_config=config).result()
            plain = duckdb.connect(str(folder / "plain.duckdb"))
            plain.register("rows", table)
            plain.execute("CREATE TABLE t AS SELECT * FROM rows")
            plain.unregister("rows")
            read = lambda: pa.table(plain.execute("SELECT * FROM t").fetchnumpy())  # noqa: E731
            yield lambda sql: client.query(sql).result(), read
            plain.close()
        finally:
            server.stop()


def timed(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def drained(model: Model, table: pa.Table) -> None:
    for _ in call("PREDICT", model, table.to_reader(), {}):
        pass


class PeakMemory:
    """The most resident memory above the start, sampled every 5 ms."""

    def __enter__(self) -> PeakMemory:
        self._start, self.bytes, self._stop = resident(), 0, threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.005):
            self.bytes = max(self.bytes, resident() - self._start)


def resident() -> int:
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmRSS:")[1].split()[0]) * 1024


def main(argv: list[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench bqml", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--features", type=int, default=30)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
    given = parser.parse_args(argv)
    table = table_of(given.rows, given.features)
    found: dict[str, float] = {}
    pairs: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
        "boosted_tree": (
            lambda: bqml(table, model_type="BOOSTED_TREE_CLASSIFIER"),
            lambda: xgboost_directly(table),
        ),
        "logistic": (lambda: bqml(table, model_type="LOGISTIC_REG"), lambda: logistic_directly(table)),
    }
    for name, options in {
        "logistic": {"model_type": "LOGISTIC_REG"},
        "boosted_tree": {"model_type": "BOOSTED_TREE_CLASSIFIER"},
    }.items():
        with PeakMemory() as peak:
            model = bqml(table, **options)
        found[f"train_{name}_peak_memory_times_input"] = (peak.bytes + table.nbytes) / table.nbytes
        seconds = min(timed(partial(drained, model, table)) for _ in range(given.repeat))
        found[f"predict_{name}_rows_a_second"] = given.rows / seconds
        with PeakMemory() as peak:
            drained(model, table)
        found[f"predict_{name}_peak_memory_times_input"] = (peak.bytes + table.nbytes) / table.nbytes
    with warehouse(table) as (run, read):
        statement = (
            "CREATE OR REPLACE MODEL d.{0} OPTIONS (model_type = '{0}', early_stop = FALSE) AS SELECT * FROM d.t"
        )
        tree, linear = (partial(run, statement.format(kind)) for kind in ("boosted_tree_classifier", "logistic_reg"))
        pairs["boosted_tree_from_table"] = (tree, lambda: xgboost_directly(read()))
        pairs["logistic_from_table"] = (linear, lambda: logistic_directly(read()))
        compare(pairs, given.repeat, found)
    if given.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:50} {value:,.2f}")


def compare(
    pairs: dict[str, tuple[Callable[[], Any], Callable[[], Any]]], repeat: int, found: dict[str, float]
) -> None:
    """Time each pair, turn by turn, and note the best of both and their ratio."""
    for name, (ours, directly) in pairs.items():
        turns = [(timed(ours), timed(directly)) for _ in range(repeat)]
        mine, theirs = (min(turn[i] for turn in turns) for i in (0, 1))
        found[f"train_{name}_seconds"] = mine
        found[f"train_{name}_directly_seconds"] = theirs
        found[f"train_{name}_ratio"] = mine / theirs
