from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from bigquery_world import PROJECT, client_of
from google.api_core import exceptions
from google.cloud import bigquery

from infra.local.bigquery import BigQueryServer

ENDLESS = "SELECT SUM(a * b) FROM UNNEST(GENERATE_ARRAY(1, 100000)) a, UNNEST(GENERATE_ARRAY(1, 1000000)) b"


def test_insert_answers_before_the_job_is_done_and_others_run_meanwhile(client, rows):
    started = time.monotonic()
    job = client.query(ENDLESS, job_id="endless", job_retry=None)
    assert job.state in ("PENDING", "RUNNING")
    assert rows("SELECT 1") == [(1,)]
    assert time.monotonic() - started < 10
    job.cancel()
    with pytest.raises(exceptions.GoogleAPICallError, match="cancelled"):
        job.result()
    assert client.get_job("endless").error_result["reason"] == "stopped"


def test_a_job_id_works_once(client):
    client.query("SELECT 1", job_id="once", job_retry=None).result()
    with pytest.raises(exceptions.Conflict) as caught:
        client.query("SELECT 1", job_id="once", job_retry=None)
    assert caught.value.errors[0]["reason"] == "duplicate"


def test_of_many_who_insert_the_same_id_one_wins(client):
    def insert(_: int) -> str:
        try:
            client.query("SELECT 1", job_id="raced", job_retry=None)
        except exceptions.Conflict:
            return "lost"
        return "won"

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(insert, range(8))) == ["lost"] * 7 + ["won"]


def test_a_failed_job_keeps_its_id_and_its_error(client):
    job = client.query("SELECT nothing FROM d.nowhere", job_id="failed", job_retry=None)
    with pytest.raises(exceptions.NotFound):
        job.result()
    again = client.get_job("failed")
    assert (again.state, again.error_result["reason"]) == ("DONE", "notFound")


@pytest.mark.parametrize(
    ("sql", "reason", "says"),
    [
        ("SELECT * FRM x", "invalidQuery", "Syntax error"),
        ("SELECT nope FROM (SELECT 1 AS a)", "invalidQuery", "nope"),
        ("SELECT 1 / 0", "invalidQuery", "division by zero"),
        ("SELECT CAST('x' AS INT64)", "invalidQuery", "Bad int64 value: x"),
        ("SELECT [1, 2][OFFSET(5)]", "invalidQuery", "Array index 5 is out of bounds"),
        ("SELECT * FROM d.missing", "notFound", "missing"),
        ("SELECT * FROM missing.t", "notFound", "missing"),
        ("SELECT NO_SUCH_FUNCTION(1)", "invalidQuery", "no_such_function"),
        ("SELECT @p", "invalidQuery", "Query parameter 'p' not found"),
        ("ASSERT 1 = 2 AS 'one is not two'", "invalidQuery", "one is not two"),
        ("", "invalid", "query"),
    ],
)
def test_errors_have_bigquerys_reason_and_name_the_thing(client, sql, reason, says):
    job = (
        client.query(sql, job_retry=None)
        if sql
        else client._connection.api_request(
            "POST", f"/projects/{PROJECT}/jobs", data={"configuration": {"query": {"query": ""}}}
        )
    )
    if sql:
        with pytest.raises(exceptions.GoogleAPICallError):
            job.result()
        error = client.get_job(job.job_id).error_result
    else:
        while client.get_job(job["jobReference"]["jobId"]).state != "DONE":
            time.sleep(0.01)
        error = client.get_job(job["jobReference"]["jobId"]).error_result
    assert error["reason"] == reason
    assert says.lower() in error["message"].lower()


@pytest.mark.parametrize("moment", ["2020-01-01", "2999-01-01"])
def test_a_time_that_a_table_does_not_know_is_the_querys_fault_however_its_client_learns_of_it(client, moment):
    client.query("CREATE OR REPLACE TABLE d.aged AS SELECT 1 AS a", job_retry=None).result()
    job = client.query(f"SELECT * FROM d.aged FOR SYSTEM_TIME AS OF TIMESTAMP '{moment}'", job_retry=None)
    with pytest.raises(exceptions.BadRequest):
        job.result()
    # A job that has ended before its results are asked for tells its error by its reason alone.
    with pytest.raises(exceptions.BadRequest):
        client.get_job(job.job_id).result()


def test_waiting_for_results_ends_with_the_timeout(client, server):
    job = client.query(ENDLESS, job_retry=None)
    url = f"{server.endpoint}/bigquery/v2/projects/{PROJECT}/queries/{job.job_id}"
    started = time.monotonic()
    answer = requests.get(url, params={"timeoutMs": 200}, timeout=10).json()
    assert answer["jobComplete"] is False
    assert 0.15 < time.monotonic() - started < 3
    job.cancel()


def test_statistics_and_labels_are_those_of_the_job(client):
    config = bigquery.QueryJobConfig(labels={"run_id": "r1", "stage": "train"})
    client.query("CREATE OR REPLACE TABLE d.measured AS SELECT x FROM UNNEST(GENERATE_ARRAY(1, 1000)) x").result()
    job = client.query("SELECT SUM(x) FROM d.measured", job_config=config, job_retry=None)
    job.result()
    job = client.get_job(job.job_id)
    assert job.labels == {"run_id": "r1", "stage": "train"}
    assert job.total_bytes_processed == 8 * 1000
    assert job.total_bytes_billed == 10 * 2**20
    assert job.started <= job.ended
    assert job.slot_millis is not None


def test_a_query_over_its_budget_is_refused_before_it_runs(client):
    client.query("CREATE OR REPLACE TABLE d.budget AS SELECT x FROM UNNEST(GENERATE_ARRAY(1, 1000)) x").result()
    job = client.query("SELECT * FROM d.budget", bigquery.QueryJobConfig(maximum_bytes_billed=1000), job_retry=None)
    with pytest.raises(exceptions.GoogleAPICallError, match="10485760 or higher required"):
        job.result()
    assert client.get_job(job.job_id).error_result["reason"] == "bytesBilledLimitExceeded"


def test_a_dry_run_estimates_and_changes_nothing(client, rows):
    client.query("CREATE OR REPLACE TABLE d.dry AS SELECT x, 'ab' AS s FROM UNNEST(GENERATE_ARRAY(1, 100)) x").result()
    dry = bigquery.QueryJobConfig(dry_run=True)
    assert client.query("SELECT x FROM d.dry", dry).total_bytes_processed == 800
    assert client.query("SELECT * FROM d.dry", dry).total_bytes_processed == 100 * (8 + 2 + 2)
    assert [field.name for field in client.query("SELECT x AS y FROM d.dry", dry).schema] == ["y"]
    client.query("DELETE FROM d.dry WHERE TRUE", dry)
    assert rows("SELECT COUNT(*) FROM d.dry") == [(100,)]
    with pytest.raises(exceptions.GoogleAPICallError):
        client.query("SELECT nope FROM d.dry", dry)


def test_jobs_are_listed_and_can_be_queried(client, rows):
    client.query("SELECT 'find me'", job_id="listed", job_retry=None).result()
    assert "listed" in {job.job_id for job in client.list_jobs(max_results=100)}
    found = rows("SELECT state, statement_type FROM `region-us`.INFORMATION_SCHEMA.JOBS WHERE job_id = 'listed'")
    assert found == [("DONE", "SELECT")]


def test_everything_survives_a_restart(tmp_path):
    server = BigQueryServer(tmp_path / "state", project=PROJECT, storage_root=tmp_path / "gs")
    server.start()
    client = client_of(server)
    client.create_dataset("d")
    client.query("CREATE TABLE d.kept AS SELECT 1 AS a").result()
    client.query("SELECT 42 AS answer", job_id="before", job_retry=None).result()
    endpoint = server.endpoint
    server.stop()
    server.stop()
    server.start()
    try:
        assert server.endpoint == endpoint
        assert [tuple(row) for row in client.get_job("before").result()] == [(42,)]
        assert [tuple(row) for row in client.query("SELECT * FROM d.kept").result()] == [(1,)]
        with pytest.raises(exceptions.Conflict):
            client.query("SELECT 1", job_id="before", job_retry=None)
    finally:
        server.stop()


def test_concurrent_changes_of_one_table_all_happen(client, rows):
    rows("CREATE OR REPLACE TABLE d.counter AS SELECT 0 AS n")
    errors = []

    def add() -> None:
        try:
            client.query("UPDATE d.counter SET n = n + 1 WHERE TRUE", job_retry=None).result()
        except Exception as error:  # noqa: BLE001  # the test shows whatever it was
            errors.append(error)

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert rows("SELECT n FROM d.counter") == [(8,)]
