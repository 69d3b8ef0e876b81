"""A `kill -9` at any moment: what was promised is there, what was half done is not."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bigquery_world import PROJECT, client_of
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from infra.local.bigquery import BigQueryServer
from infra.local.bigquery.engine import WORTH_A_CHECKPOINT

PROGRAM = """
import sys, time
from pathlib import Path
from infra.local.bigquery import BigQueryServer
state = Path(sys.argv[1])
server = BigQueryServer(state / "state", project=sys.argv[2], storage_root=state / "gs")
server.start()
print(server.endpoint, flush=True)
time.sleep(600)
"""


@pytest.fixture
def killed(tmp_path: Path):
    """A server in a process of its own; calling it kills the process and starts the same state here."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path), PROJECT], stdout=subprocess.PIPE, text=True
    )
    endpoint = process.stdout.readline().strip()
    client = bigquery.Client(
        project=PROJECT, credentials=AnonymousCredentials(), client_options={"api_endpoint": endpoint}
    )
    client.create_dataset("d")
    again = BigQueryServer(tmp_path / "state", project=PROJECT, storage_root=tmp_path / "gs")

    def kill() -> bigquery.Client:
        process.send_signal(signal.SIGKILL)
        process.wait()
        again.start()
        return client_of(again)

    yield client, kill
    process.kill()
    process.wait()
    again.stop()


def test_a_killed_job_comes_back_failed_and_leaves_nothing(killed):
    client, kill = killed
    client.query("CREATE TABLE d.done AS SELECT 1 AS a", job_id="done", job_retry=None).result()
    client.insert_rows_json("d.done", [{"a": 2}], row_ids=["row-2"])
    client.query(
        "CREATE TABLE d.half AS SELECT a * b AS c FROM UNNEST(GENERATE_ARRAY(1, 20000)) a, "
        "UNNEST(GENERATE_ARRAY(1, 1000000)) b",
        job_id="half",
        job_retry=None,
    )
    time.sleep(0.5)
    client = kill()
    assert client.get_job("done").error_result is None
    half = client.get_job("half")
    assert (half.state, half.error_result["reason"]) == ("DONE", "jobInternalError")
    assert {table.table_id for table in client.list_tables("d")} == {"done"}
    # The repeat of a row that was confirmed before the crash is still known as one.
    assert client.insert_rows_json("d.done", [{"a": 2}], row_ids=["row-2"]) == []
    assert sorted(row.a for row in client.query("SELECT a FROM d.done").result()) == [1, 2]


def test_an_open_transaction_is_gone_after_a_kill(killed):
    client, kill = killed
    client.query("CREATE TABLE d.t AS SELECT 1 AS a").result()
    client.query(
        "BEGIN TRANSACTION; DELETE FROM d.t WHERE TRUE; "
        "CREATE TEMP TABLE slow AS SELECT SUM(a * b) AS s FROM UNNEST(GENERATE_ARRAY(1, 100000)) a, "
        "UNNEST(GENERATE_ARRAY(1, 1000000)) b; COMMIT TRANSACTION;"
    )
    time.sleep(0.5)
    client = kill()
    assert [tuple(row) for row in client.query("SELECT a FROM d.t").result()] == [(1,)]


def test_what_stands_in_the_log_alone_is_there_after_a_kill(killed, tmp_path: Path):
    client, kill = killed
    client.query(
        "CREATE TABLE d.logged AS SELECT x, REPEAT(CAST(100000 + x AS STRING), 50) AS text "
        "FROM UNNEST(GENERATE_ARRAY(1, 100000)) AS x",
        job_retry=None,
    ).result()
    (log,) = (tmp_path / "state").rglob("*.wal")
    logged = log.stat().st_size
    client = kill()
    rows = client.query("SELECT COUNT(*) AS n, SUM(x) AS total, SUM(LENGTH(text)) AS letters FROM d.logged").result()
    assert [tuple(row) for row in rows] == [(100_000, 100_000 * 100_001 // 2, 100_000 * 50 * 6)]
    assert logged > 100_000 * 50 * 6  # a checkpoint would have emptied it


def test_a_pause_is_used_to_write_the_log_into_the_database(killed, tmp_path: Path):
    client, kill = killed
    text = "REPEAT(CAST(100000 + x AS STRING), 50) AS text FROM UNNEST(GENERATE_ARRAY(1, 100000)) AS x"
    for table in ("one", "two", "three"):  # 30 MB each; a larger one would not pass through the log
        client.query(f"CREATE TABLE d.{table} AS SELECT x, {text}", job_retry=None).result()
    (log,) = (tmp_path / "state").rglob("*.wal")
    end = time.monotonic() + 60
    while log.exists() and log.stat().st_size > WORTH_A_CHECKPOINT:
        assert time.monotonic() < end
        time.sleep(0.1)
    client = kill()
    assert [tuple(row) for row in client.query("SELECT COUNT(*) FROM d.three").result()] == [(100_000,)]
