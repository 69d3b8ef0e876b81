"""The whole loop, driven as in earnest: scheduler, topics, functions, BigQuery, Vertex AI, HTTP.

Only Google's own clients and plain HTTP stand between the test and the local cloud.
"""

import datetime as dt
import json
import time
import urllib.request
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from google.api_core.client_options import ClientOptions
from google.cloud import aiplatform_v1, bigquery
from google.cloud.pubsub_v1 import PublisherClient
from typer.testing import CliRunner

from deployment.application import Application
from deployment.cli.main import app as command_line
from deployment.endpoint import Endpoint
from etl.ingest import import_deals, import_labels
from etl.sample_deals import World, generate_labels, write_day
from functions.service.index_keeper import IndexKeeper
from functions.service.versions import Versions, serving_policy_of
from infra.local.cloud import LocalCloud
from tests.e2e.conftest import Starter

MODEL = "deal_duplicates"
PATIENCE = 240.0
ENDED = {"SKIPPED", "REJECTED", "HELD", "PROMOTED", "FAILED", "SCORED"}


@dataclass
class World3:
    """What the module's tests look at."""

    state: Path
    first: dict[str, Any]
    first_run: str
    second: dict[str, Any]
    third: dict[str, Any]
    third_run: str


def import_generated(app: Application, folder: Path, day: int, *, labels: int = 900) -> None:
    first_day = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=3)
    world = World(11, 800, first_day)
    write_day(world, day, folder / f"deals-{day}.parquet")
    pq.write_table(generate_labels(world, day, labels), folder / f"labels-{day}.parquet")
    warehouse, templates = app.warehouse(MODEL), app.templates(MODEL)
    deals = import_deals(warehouse, templates, folder / f"deals-{day}.parquet")
    judged = import_labels(warehouse, templates, folder / f"labels-{day}.parquet")
    assert deals.rejected == judged.rejected == 0
    assert deals.loaded > 500
    assert judged.loaded > 500


def runs(app: Application) -> dict[str, dict[str, Any]]:
    return {row["run_id"]: row for row in app.ledger(MODEL).read("recent_runs")}


def wait_for(app: Application, run_id: str) -> dict[str, Any]:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        row = runs(app).get(run_id)
        if row and row["state"] in ENDED:
            return row
        time.sleep(0.3)
    raise AssertionError(f"{run_id} did not end: {app.ledger(MODEL).events(run_id)}")


def publish_check(app: Application, run_id: str, as_of: dt.datetime) -> None:
    """A message as the scheduler's, but of another instant, through the real publisher."""
    data = {"model": MODEL, "run_id": run_id, "stage": "check", "as_of": as_of.isoformat()}
    PublisherClient().publish(app.settings.stage_topic("check"), json.dumps(data).encode()).result(timeout=30)


def post(app: Application, path: str, body: Any) -> tuple[int, Any]:
    request = urllib.request.Request(
        f"{app.settings.endpoints.functions}/service{path}",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def today() -> str:
    return dt.datetime.now(dt.UTC).date().isoformat()


@pytest.fixture(scope="module")
def loop(
    start_cloud: Starter, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[LocalCloud, Application, World3]]:
    """Three days: a first champion through the scheduler, a day with nothing new, and a day with more."""
    state = tmp_path_factory.mktemp("loop")
    with start_cloud(state) as (cloud, app):
        import_generated(app, state, 0)
        first_run = f"{MODEL}-{today()}"
        cloud.trigger("check")
        first = wait_for(app, first_run)
        now = dt.datetime.now(dt.UTC)
        publish_check(app, f"{MODEL}-day-two", now)
        second = wait_for(app, f"{MODEL}-day-two")
        import_generated(app, state, 1)
        third_run = f"{MODEL}-day-three"
        publish_check(app, third_run, dt.datetime.now(dt.UTC))
        third = wait_for(app, third_run)
        yield cloud, app, World3(state, first, first_run, second, third, third_run)


def models_client(app: Application) -> aiplatform_v1.ModelServiceClient:
    options = ClientOptions(api_endpoint=app.settings.endpoints.vertex)
    return aiplatform_v1.ModelServiceClient(transport="rest", client_options=options)


def test_the_first_day_trains_and_promotes_a_champion(loop: tuple[LocalCloud, Application, World3]) -> None:
    _, app, world = loop
    assert world.first["state"] == "PROMOTED", world.first["reason"]
    stages = [e.stage for e in app.ledger(MODEL).events(world.first_run) if e.status == "SUCCEEDED"]
    assert stages == ["check", "features", "train", "evaluate", "decide", "deploy"]


def test_a_day_with_nothing_new_is_skipped_with_the_reason(loop: tuple[LocalCloud, Application, World3]) -> None:
    _, _, world = loop
    assert world.second["state"] == "SKIPPED"
    assert "0 new rows" in world.second["reason"]


def test_the_third_day_compares_challengers_and_champion_on_the_same_rows(
    loop: tuple[LocalCloud, Application, World3],
) -> None:
    _, app, world = loop
    assert world.third["state"] in {"PROMOTED", "REJECTED"}, world.third["reason"]
    (evaluated,) = [
        e for e in app.ledger(MODEL).events(world.third_run) if e.stage == "evaluate" and e.status == "SUCCEEDED"
    ]
    rows = [row for row in evaluated.details["metrics"] if row["split"] == "validation"]
    assert {row["name"] for row in rows} == {"champion", "logistic_reg", "boosted_tree", "boosted_tree_shallow"}
    assert len({(row["row_count"], row["rows_fingerprint"]) for row in rows}) == 1
    assert all(row["unscored_rows"] == 0 for row in rows)


def test_vertex_has_one_champion_that_is_the_default_and_serves_all_traffic(
    loop: tuple[LocalCloud, Application, World3],
) -> None:
    _, app, _ = loop
    settings = app.settings
    parent = f"projects/{settings.project}/locations/{settings.region}"
    versions = list(models_client(app).list_model_versions(name=f"{parent}/models/{MODEL}"))
    champions = [v for v in versions if "champion" in v.version_aliases]
    assert len(champions) == 1
    assert "default" in champions[0].version_aliases
    options = ClientOptions(api_endpoint=settings.endpoints.vertex)
    endpoints = aiplatform_v1.EndpointServiceClient(transport="rest", client_options=options)
    (endpoint,) = [e for e in endpoints.list_endpoints(parent=parent) if e.display_name == f"bqloop-{MODEL}"]
    assert dict(endpoint.traffic_split) == {champions[0].version_id: 100}


def test_predictions_go_through_the_endpoint_and_stand_in_the_log(loop: tuple[LocalCloud, Application, World3]) -> None:
    _, app, _ = loop
    client: bigquery.Client = app.bigquery
    table = f"{app.settings.project}.{app.settings.dataset}.inference_log"
    before = client.get_table(table).num_rows or 0
    pairs = [
        {
            "left": {"source": row["left_source"], "deal_id": row["left_id"]},
            "right": {"source": row["right_source"], "deal_id": row["right_id"]},
        }
        for row in client.list_rows(f"{app.settings.project}.{app.settings.dataset}.labels", max_results=5)
    ]
    status, answer = post(app, "/score", {"pairs": pairs})
    assert status == 200, answer
    assert len(answer["results"]) == 5
    assert all(0 <= p["probability"] <= 1 for p in answer["results"])
    end = time.monotonic() + 60
    while (client.get_table(table).num_rows or 0) < before + 5 and time.monotonic() < end:
        time.sleep(0.3)
    assert client.get_table(table).num_rows == before + 5


def test_a_bad_request_is_refused_by_field_and_leaves_no_prediction(
    loop: tuple[LocalCloud, Application, World3],
) -> None:
    _, app, _ = loop
    table = f"{app.settings.project}.{app.settings.dataset}.inference_log"
    before = app.bigquery.get_table(table).num_rows
    status, problem = post(app, "/score", {"pairs": [{"left": {"source": "a"}, "right": {}}]})
    assert status in {400, 422}
    assert "right" in json.dumps(problem)
    assert app.bigquery.get_table(table).num_rows == before


def test_an_index_that_the_command_built_is_what_the_service_reads(
    loop: tuple[LocalCloud, Application, World3], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, app, _ = loop
    monkeypatch.setattr("deployment.cli.index.application", lambda: nullcontext(app))
    built = CliRunner().invoke(command_line, ["index", str(tmp_path), "--processes", "2"])
    assert built.exit_code == 0, built.output
    (known,) = tmp_path.rglob("known.json")
    written = known.stat().st_mtime_ns
    monkeypatch.setenv("BQLOOP_INDEX", str(tmp_path))
    version = Versions(app, MODEL, Endpoint(app.settings, MODEL)).traffic().main
    index = IndexKeeper(app, MODEL, serving_policy_of(app, MODEL)).index(version)
    assert f"{len(index):,} deals" in built.output.replace("\n", " ")
    deals = f"SELECT COUNT(DISTINCT CONCAT(source, ' ', deal_id)) FROM `{app.settings.dataset}.raw_deals`"
    assert len(index) == next(iter(app.bigquery.query_and_wait(deals)))[0]
    assert known.stat().st_mtime_ns == written


def test_the_same_message_published_again_changes_nothing(loop: tuple[LocalCloud, Application, World3]) -> None:
    _, app, world = loop
    before = app.ledger(MODEL).events(world.first_run)
    jobs_before = {job.job_id for job in app.bigquery.list_jobs(max_results=5000)}
    publish_check(app, world.first_run, before[0].as_of)
    publish_check(app, world.first_run, before[0].as_of)
    time.sleep(5)
    after = app.ledger(MODEL).events(world.first_run)
    assert [e.event_id for e in after] == [e.event_id for e in before]
    new_jobs = {job.job_id for job in app.bigquery.list_jobs(max_results=5000)} - jobs_before
    assert not [name for name in new_jobs if name.startswith(f"bqloop_{world.first_run}")]


def test_the_views_tell_what_served_when_and_what_it_cost(loop: tuple[LocalCloud, Application, World3]) -> None:
    _, app, world = loop
    history = app.ledger(MODEL).read("production_history")
    assert history[-1]["run_id"] == world.first_run
    assert history[-1]["action"] == "promote"
    assert history[-1]["share"] == 100
    costs = {row["stage"]: row for row in app.ledger(MODEL).read("cost") if row["run_id"] == world.first_run}
    assert costs["features"]["jobs"] >= 3
    assert costs["features"]["bytes_billed"] > 0
