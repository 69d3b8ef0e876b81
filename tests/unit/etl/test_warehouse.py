"""A job ID is the lock: the same step runs once, whoever calls and however often."""

import datetime as dt
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from google.api_core import exceptions as api
from google.auth.exceptions import RefreshError, TransportError
from google.cloud import bigquery

from etl.errors import StatementError, StillRunning, UnavailableError
from etl.query_parameters import Null, query_parameter
from etl.warehouse import Deadline, JobKey, Usage, Warehouse
from tests.unit.etl.bigquery_target import running_warehouse, statement

ROWS = "SELECT COUNT(*) AS n FROM `{}.{}`"


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    with running_warehouse(tmp_path_factory.mktemp("warehouse")) as made:
        yield made


@pytest.fixture
def key() -> JobKey:
    return JobKey(f"deals-{uuid.uuid4().hex[:8]}", "features", "step")


@pytest.fixture
def table(warehouse: Warehouse) -> str:
    name = f"t_{uuid.uuid4().hex[:8]}"
    warehouse.client.query(f"CREATE TABLE bqloop.{name} (x INT64)").result()
    return name


def count(warehouse: Warehouse, table: str) -> int:
    (row,) = warehouse.read(statement(ROWS.format("bqloop", table)))
    return int(row["n"])


def test_a_step_that_is_run_again_attaches_to_the_job_that_ran(warehouse: Warehouse, key: JobKey, table: str) -> None:
    insert = statement(f"INSERT INTO bqloop.{table} VALUES (1)")
    first, second = warehouse.run(insert, key), warehouse.run(insert, key)
    assert first.job_id == second.job_id == f"bqloop_{key.run_id}_features_step_1"
    assert count(warehouse, table) == 1


def test_of_callers_at_the_same_time_one_runs_and_all_get_its_job(
    warehouse: Warehouse, key: JobKey, table: str
) -> None:
    insert = statement(f"INSERT INTO bqloop.{table} VALUES (1)")
    with ThreadPoolExecutor(6) as pool:
        jobs = list(pool.map(lambda _: warehouse.run(insert, key, rehearse=False).job_id, range(6)))
    assert len(set(jobs)) == 1
    assert count(warehouse, table) == 1


def test_a_job_that_failed_is_followed_by_the_next_attempt(warehouse: Warehouse, key: JobKey, table: str) -> None:
    wrong = statement("SELECT ERROR('out of luck')")
    with pytest.raises(StatementError, match="out of luck"):
        warehouse.run(wrong, key, rehearse=False)
    job = warehouse.run(statement(f"INSERT INTO bqloop.{table} VALUES (1)"), key)
    assert job.job_id.endswith("_step_2")
    assert count(warehouse, table) == 1


def test_a_job_that_outlasts_the_deadline_is_still_running_and_the_next_call_attaches(
    warehouse: Warehouse, key: JobKey
) -> None:
    long = statement(
        "SELECT SUM(MOD(a * b, 7)) AS s FROM UNNEST(GENERATE_ARRAY(1, 20000)) a, UNNEST(GENERATE_ARRAY(1, 10000)) b"
    )
    with pytest.raises(StillRunning, match="attaches"):
        warehouse.run(long, key, deadline=Deadline.after(0.01), rehearse=False)
    assert warehouse.run(long, key).job_id.endswith("_1")


def test_a_mistake_is_told_with_template_and_line_before_any_job_runs(warehouse: Warehouse, key: JobKey) -> None:
    with pytest.raises(StatementError, match=r"sql/deal_duplicates/features/x\.sql:\d+"):
        warehouse.run(statement("SELECT titel\nFROM bqloop.nowhere"), key)
    with pytest.raises(api.NotFound):
        warehouse.client.get_job(key.job_id(1))


def test_a_missing_parameter_is_told_with_those_there_are(warehouse: Warehouse, key: JobKey) -> None:
    with pytest.raises(StatementError, match=r"uses @since, which is no parameter here. Known: @as_of"):
        warehouse.run(statement("SELECT @since", "since"), key, {"as_of": 1})


def test_only_the_parameters_that_a_statement_uses_are_sent(warehouse: Warehouse, key: JobKey) -> None:
    job = warehouse.run(statement("SELECT @n AS n", "n"), key, {"n": 3, "other": object()})
    assert [(p.name, p.value) for p in job.query_parameters] == [("n", 3)]


@pytest.mark.parametrize("rehearse", [True, False])
def test_a_statement_over_budget_is_refused_before_it_costs_anything(
    warehouse: Warehouse, key: JobKey, rehearse: bool
) -> None:
    warehouse.client.query(
        "CREATE OR REPLACE TABLE bqloop.wide AS SELECT x, x + 1 AS y FROM UNNEST(GENERATE_ARRAY(1, 300000)) AS x"
    ).result()
    poor = Warehouse(warehouse.client, warehouse.settings, maximum_bytes_billed=1000)
    with pytest.raises(StatementError, match=r"1,?000") as refused:
        poor.run(statement("SELECT SUM(x) AS s FROM bqloop.wide"), key, rehearse=rehearse)
    assert refused.value.reason == "bytesBilledLimitExceeded"


def test_what_jobs_used_is_counted_once_each(warehouse: Warehouse, key: JobKey, table: str) -> None:
    usage = Usage()
    for _ in range(2):
        warehouse.run(statement(f"SELECT COUNT(*) AS n FROM bqloop.{table}"), key, usage=usage)
    assert usage.job_ids == [key.job_id(1)]


def bigquery_error(kind: type[api.GoogleAPICallError], reason: str) -> api.GoogleAPICallError:
    return kind("told by BigQuery", errors=[{"reason": reason, "message": "told by BigQuery"}])


@pytest.mark.parametrize(
    "error",
    [
        bigquery_error(api.Forbidden, "rateLimitExceeded"),
        bigquery_error(api.Forbidden, "quotaExceeded"),
        bigquery_error(api.BadRequest, "jobRateLimitExceeded"),
        bigquery_error(api.BadRequest, "jobInternalError"),
        bigquery_error(api.BadRequest, "jobBackendError"),
        bigquery_error(api.BadRequest, "tableUnavailable"),
        bigquery_error(api.BadRequest, "timeout"),
        bigquery_error(api.ServiceUnavailable, "backendError"),
        bigquery_error(api.InternalServerError, "internalError"),
        api.TooManyRequests("slow down"),
        api.GatewayTimeout("DEADLINE_EXCEEDED"),
        api.RetryError("given up", cause=OSError("reset")),
        requests.exceptions.ConnectionError("connection reset"),
        requests.exceptions.ReadTimeout("too slow"),
        TransportError("no token"),
        RefreshError("no token"),
    ],
    ids=lambda error: f"{type(error).__name__}-{getattr(error, 'errors', None) or ''}"[:60],
)
def test_errors_that_pass_are_retryable(warehouse: Warehouse, error: Exception) -> None:
    sorted_out = warehouse._sorted_out(error, statement("SELECT 1"))
    assert isinstance(sorted_out, UnavailableError)
    assert warehouse.settings.endpoints.bigquery in str(sorted_out)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (bigquery_error(api.BadRequest, "invalidQuery"), "invalidQuery"),
        (bigquery_error(api.NotFound, "notFound"), "notFound"),
        (bigquery_error(api.Forbidden, "accessDenied"), "accessDenied"),
        (bigquery_error(api.Forbidden, "billingNotEnabled"), "billingNotEnabled"),
        (bigquery_error(api.BadRequest, "resourcesExceeded"), "resourcesExceeded"),
        (bigquery_error(api.BadRequest, "bytesBilledLimitExceeded"), "bytesBilledLimitExceeded"),
    ],
)
def test_errors_that_stay_are_permanent_and_keep_bigquerys_reason(
    warehouse: Warehouse, error: Exception, reason: str
) -> None:
    sorted_out = warehouse._sorted_out(error, statement("SELECT 1"))
    assert isinstance(sorted_out, StatementError)
    assert sorted_out.reason == reason


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (True, "BOOL"),
        (1, "INT64"),
        (1.5, "FLOAT64"),
        ("a", "STRING"),
        (dt.datetime(2026, 1, 1, tzinfo=dt.UTC), "TIMESTAMP"),
        (dt.date(2026, 1, 1), "DATE"),
        (Null("FLOAT64"), "FLOAT64"),
    ],
)
def test_a_parameter_has_the_type_of_its_value(value: object, kind: str) -> None:
    made = query_parameter("p", value)
    assert isinstance(made, bigquery.ScalarQueryParameter)
    assert made.type_ == kind


def test_a_list_is_an_array_of_its_first_values_type() -> None:
    made = query_parameter("p", [1.5, 2.0])
    assert isinstance(made, bigquery.ArrayQueryParameter)
    assert made.array_type == "FLOAT64"
    with pytest.raises(StatementError, match="object"):
        query_parameter("p", object())


def test_a_job_id_holds_only_what_bigquery_allows() -> None:
    assert JobKey("deals-2026-01-01", "train", "boosted tree/é").job_id(2) == (
        "bqloop_deals-2026-01-01_train_boosted-tree--_2"
    )


def test_the_jobs_of_a_run_can_be_cancelled(warehouse: Warehouse, key: JobKey) -> None:
    long = statement(
        "SELECT SUM(MOD(a * b, 7)) AS s FROM UNNEST(GENERATE_ARRAY(1, 60000)) a, UNNEST(GENERATE_ARRAY(1, 60000)) b"
    )
    with pytest.raises(StillRunning):
        warehouse.run(long, key, deadline=Deadline.after(0.01), rehearse=False)
    assert warehouse.cancel_jobs(key.run_id) == [key.job_id(1)]
