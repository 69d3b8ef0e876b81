"""Other people's clients, unchanged: the `bq` command line and pandas-gbq."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest
from bigquery_world import PROJECT

needs_bq = pytest.mark.skipif(shutil.which("bq") is None, reason="the bq command line is not installed")


@pytest.fixture
def bq(server, client, tmp_path):
    (tmp_path / ".bigqueryrc").touch()  # else it asks whether to write one

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [
                "bq",
                f"--api={server.endpoint}",
                f"--project_id={PROJECT}",
                "--headless=true",
                "--format=json",
                *arguments,
            ],
            capture_output=True,
            text=True,
            timeout=120,
            env={
                **os.environ,
                "HOME": str(tmp_path),
                "CLOUDSDK_CONFIG": str(tmp_path),
                "CLOUDSDK_AUTH_ACCESS_TOKEN": "local",
            },
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return (done.stdout.strip().splitlines() or [""])[-1]

    return run


@needs_bq
@pytest.mark.peer
def test_bq_queries_lists_shows_and_loads(bq, rows, tmp_path):
    rows("CREATE OR REPLACE TABLE d.shown AS SELECT 1 AS a, 'x' AS b")
    assert json.loads(bq("query", "--use_legacy_sql=false", "SELECT a, b FROM d.shown")) == [{"a": "1", "b": "x"}]
    assert {table["tableReference"]["tableId"] for table in json.loads(bq("ls", "d"))} >= {"shown"}
    assert json.loads(bq("show", "d.shown"))["numRows"] == "1"
    file = tmp_path / "more.csv"
    file.write_text("2,y\n")
    bq("load", "--source_format=CSV", "d.shown", str(file))
    assert sorted(rows("SELECT a FROM d.shown")) == [(1,), (2,)]


@needs_bq
@pytest.mark.peer
def test_bq_shows_a_model(bq, rows):
    rows(
        "CREATE OR REPLACE MODEL d.m OPTIONS (model_type = 'linear_reg') AS SELECT x AS f, x AS label FROM UNNEST([1, 2, 3]) x"
    )
    assert json.loads(bq("show", "-m", "d.m"))["modelType"] == "LINEAR_REGRESSION"


def test_pandas_gbq_reads_and_writes(server, client, monkeypatch):
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", server.endpoint)
    pandas_gbq = pytest.importorskip("pandas_gbq")
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1, 2], "b": ["x", None]})
    pandas_gbq.to_gbq(
        frame, "d.from_pandas", project_id=PROJECT, bigquery_client=client, if_exists="replace", progress_bar=False
    )
    read = pandas_gbq.read_gbq(
        "SELECT a, b FROM d.from_pandas ORDER BY a", project_id=PROJECT, bigquery_client=client, progress_bar_type=None
    )
    assert read.a.tolist() == [1, 2]
    assert read.b.isna().tolist() == [False, True]
