"""Two trainings of one table and statement give one model, whatever DuckDB's threads did with the rows in between."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest

ROWS = 300_000
"""More than two of DuckDB's row groups, so that several threads scan, join and aggregate."""
ALL = "SELECT * EXCEPT (k) FROM d.many"
JOINED = "SELECT t.x, t.z, u.w, t.y FROM d.many AS t JOIN d.few AS u USING (k)"
GROUPED = "SELECT MOD(CAST(FLOOR(x * 1000) AS INT64), 999) AS g, MIN(z) AS z, COUNT(*) AS n, MAX(y) AS y FROM d.many GROUP BY g"
LOGISTIC = "model_type = 'logistic_reg', input_label_cols = ['y'], max_iterations = 4"
TREES = "model_type = 'boosted_tree_classifier', input_label_cols = ['y'], max_iterations = 3, subsample = 0.8"


@pytest.fixture(scope="module", autouse=True)
def tables(rows):
    rows(
        "CREATE OR REPLACE TABLE d.many AS SELECT MOD(i, 1000) AS k, SIN(i) AS x, COS(i * 1.7) * EXP(SIN(i * 0.3)) AS z, "
        f"IF(SIN(i) + COS(i * 0.1) > 0.3, 1, 0) AS y FROM UNNEST(GENERATE_ARRAY(1, {ROWS})) AS i"
    )
    rows("CREATE OR REPLACE TABLE d.few AS SELECT k, SIN(k * 3.1) AS w FROM UNNEST(GENERATE_ARRAY(0, 999)) AS k")


def trained(rows, state: Path, options: str, query: str) -> dict[str, bytes]:
    """The files of a new model; of what it says about itself, all but times."""
    rows(f"CREATE OR REPLACE MODEL d.same OPTIONS ({options}) AS {query}")
    folder = max((state / "state/models").glob("*/d/same/*"), key=lambda path: path.stat().st_mtime_ns)
    found = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".npz"}
    about = json.loads(found.pop("model.json"))
    for fit in about["fits"]:
        fit["runs"] = [[iteration[:-1] for iteration in run] for run in fit["runs"]]
    about |= {"started_ms": 0, "ended_ms": 0}
    with np.load(folder / "fit-0.npz") as arrays:
        return (
            found
            | {"about": json.dumps({k: about[k] for k in ("encoder", "statistics", "profiles")}).encode()}
            | {name: arrays[name].tobytes() for name in arrays.files}
        )


@pytest.mark.parametrize(
    ("options", "query"),
    [(LOGISTIC, ALL), (TREES, ALL), (LOGISTIC, JOINED), (TREES, JOINED), (LOGISTIC, GROUPED)],
    ids=["logistic", "trees", "logistic joined", "trees joined", "logistic grouped"],
)
def test_the_same_statement_gives_the_same_model_while_others_run(rows, state, options, query):
    first = trained(rows, state, options, query)
    done = threading.Event()

    def disturb() -> None:
        while not done.is_set():
            rows("SELECT k, COUNT(*), SUM(x) FROM d.many GROUP BY k ORDER BY 2 DESC LIMIT 5")

    other = threading.Thread(target=disturb)
    other.start()
    try:
        second = trained(rows, state, options, query)
    finally:
        done.set()
        other.join()
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


def test_a_small_table_built_anew_gives_the_same_model(rows, state):
    small = "SELECT x, z, y FROM d.many WHERE MOD(k, 100) = 7"
    rows(f"CREATE OR REPLACE TABLE d.one_way AS {small} ORDER BY x")
    rows(f"CREATE OR REPLACE TABLE d.other_way AS {small} ORDER BY z DESC")

    first = trained(rows, state, TREES, "SELECT * FROM d.one_way")
    second = trained(rows, state, TREES, "SELECT * FROM d.other_way")

    assert [name for name in first if first[name] != second[name]] == []
