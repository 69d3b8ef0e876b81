"""A second model of another kind runs the whole loop from a minimal folder: two days of a regression, one of a classification.

The stages, BigQuery and Vertex AI are the real ones of the local cloud, in this process: what functions and Pub/Sub add is
tested with deals. test_new_model_command.py drives the commands themselves.
"""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.cloud import bigquery

from deployment.application import Application
from deployment.cli.evaluation import measure_version
from deployment.gate_policy import gate_policy_of
from deployment.review import gather_review, review_page, review_tables
from deployment.setup import prepare
from deployment.stages.message import StageMessage
from deployment.stages.protocol import run_stage
from deployment.stages.run import policy_of
from etl.errors import ConfigurationError
from etl.ingest import import_rows
from etl.ledger import Event
from etl.settings import environment_file, load_settings
from functions.service import row_service
from functions.service.problems import Problem
from functions.service.row_payloads import PredictRequest
from functions.service.row_service import RowService
from infra.local.cloud import LocalCloud
from tests.e2e.conftest import ROOT
from tests.second_model import new_model, write_trips

DAY = dt.datetime.now(dt.UTC).replace(microsecond=0)


class Mailbox:
    """A publisher that keeps what was published."""

    def __init__(self) -> None:
        self.messages: list[StageMessage] = []

    def publish(self, message: StageMessage) -> str:
        self.messages.append(message)
        return str(len(self.messages))


@dataclass
class Log:
    """An inference log that keeps its rows."""

    rows: list[dict[str, Any]] = field(default_factory=list)

    def confirm(self, rows: list[dict[str, Any]]) -> None:
        self.rows += rows


@dataclass
class World:
    app: Application
    folder: Path

    def run(self, model: str, run_id: str, stage: str = "check", *, as_of: dt.datetime = DAY) -> Event:
        """One run from a stage to its end."""
        mailbox = Mailbox()
        mailbox.publish(StageMessage(model=model, run_id=f"{model}-{run_id}", stage=stage, as_of=as_of))
        event = None
        while mailbox.messages:
            event = run_stage(self.app.run(mailbox.messages.pop(0)), mailbox)
            assert event is not None
            assert event.status != "FAILED", event.details["reason"]
        assert event is not None
        return event

    def bring(self, model: str, day: int, count: int) -> None:
        rows = write_trips(self.folder / f"{model}-{day}.csv", day, count)
        report = import_rows(
            self.app.warehouse(model), self.app.templates(model), rows, ingested_at=DAY - dt.timedelta(days=3 - day)
        )
        assert (report.loaded, report.rejected) == (count, 0)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("second")
    config = yaml.safe_load(environment_file("local").read_text(encoding="utf-8"))
    cloud = LocalCloud(config, folder / "state", root=ROOT, with_functions=False, with_scheduler=False)
    before = dict(os.environ)
    cloud.start()
    try:
        os.environ.update(cloud.environment())
        app = Application(load_settings("local", models=("fares", "tips")))
        table = write_trips(folder / "trips.csv", 1, 300)
        app._templates = {
            "fares": new_model(folder, "fares", table, label="fare"),
            "tips": new_model(folder, "tips", table, label="tipped"),
        }
        prepare(app)
        yield World(app, folder)
    finally:
        cloud.stop()
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(scope="module")
def first_day(world: World) -> Event:
    world.bring("fares", 1, 300)
    return world.run("fares", "day-one", as_of=DAY - dt.timedelta(days=1, hours=12))


@pytest.fixture(scope="module")
def second_day(world: World, first_day: Event) -> Event:
    world.bring("fares", 2, 900)
    return world.run("fares", "day-two")


def test_a_regression_trains_passes_the_gate_and_is_deployed(world: World, first_day: Event) -> None:
    assert first_day.details["run_state"] == "PROMOTED"
    production = first_day.details["production"]
    assert (production["share"], production["threshold"]) == (100, None)
    champion = world.app.registry.champion("fares")
    assert champion is not None
    assert champion.version_id == production["version"]
    assert {"mean_absolute_error", "run", "candidate"} <= champion.labels.keys()


def test_the_next_day_challengers_meet_the_champion_on_the_same_rows(world: World, second_day: Event) -> None:
    assert second_day.details["run_state"] == "PROMOTED"
    (decided,) = [
        e
        for e in world.app.ledger("fares").events("fares-day-two")
        if e.stage == "decide" and e.details.get("decision")
    ]
    evidence = decided.details["evidence"]
    fingerprints = {m["rows_fingerprint"] for m in [evidence["champion"], *evidence["candidates"]]}
    assert len(fingerprints) == 1
    winner = decided.details["decision"]["winner"]
    (bounds,) = [c for c in evidence["comparisons"] if (c["candidate"], c["metric"]) == (winner, "mean_absolute_error")]
    assert bounds["lower"] <= bounds["difference"] <= bounds["upper"] < 0  # of an error less is better
    assert f"{winner}: mean_absolute_error" in " ".join(decided.details["decision"]["reasons"])


def test_it_is_served_with_the_features_of_its_own_sql(
    world: World, second_day: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log()
    monkeypatch.setattr(row_service, "InferenceLog", lambda _: log)
    service = RowService(world.app, "fares")
    trips = [
        dict(r) for r in world.app.bigquery.query("SELECT * FROM bqloop.fares_rows ORDER BY trip_id LIMIT 20").result()
    ]
    unknown = {"fare", "pickup_at", "ingested_at", "import_id", "content_hash"}
    asked = [{column: value for column, value in trip.items() if column not in unknown} for trip in trips]

    answer = service.predict(PredictRequest(instances=asked, features=True), "request")

    world.run("fares", "score-one", "score")
    batch = {
        r["trip_id"]: r["prediction"] for r in world.app.bigquery.query("SELECT * FROM bqloop.fares_answers").result()
    }
    assert [p.keys["trip_id"] for p in answer.predictions] == [trip["trip_id"] for trip in trips]
    assert [p.prediction for p in answer.predictions] == pytest.approx([batch[trip["trip_id"]] for trip in trips])
    assert answer.version == second_day.details["production"]["version"]
    assert [json.loads(row["row_keys"])["trip_id"] for row in log.rows] == [trip["trip_id"] for trip in trips]
    assert all(row["route"] == "predict" and row["model"] == "fares" and row["prediction"] > 0 for row in log.rows)


@pytest.mark.parametrize(
    ("instance", "pointer"),
    [
        ({"trip_id": "a", "distance_km": "far"}, "/instances/0/distance_km"),
        ({"trip_id": "a", "colour": "red"}, "/instances/0/colour"),
        ({"distance_km": 3.0}, "/instances/0/trip_id"),
    ],
)
def test_a_wrong_row_is_refused_by_its_field_and_not_logged(
    world: World, first_day: Event, monkeypatch: pytest.MonkeyPatch, instance: dict[str, Any], pointer: str
) -> None:
    log = Log()
    monkeypatch.setattr(row_service, "InferenceLog", lambda _: log)
    with pytest.raises(Problem) as raised:
        RowService(world.app, "fares").predict(PredictRequest(instances=[instance]), "request")

    assert raised.value.status == 422
    assert [fault.pointer for fault in raised.value.faults] == [pointer]
    assert log.rows == []


def test_its_day_is_watched_by_what_was_logged(world: World, second_day: Event) -> None:
    """Some hundred answers in each of five days, the last of them about trips four times as long."""
    rows = []
    for n in range(1500):
        recent = n < 300
        features = {
            "city": "Bern",
            "distance_km": (n % 17 + 1) * (4 if recent else 1),
            "minutes": 10.0 + n % 7,
            "night": n % 3 == 0,
            "passengers": 1,
        }
        at = DAY - (dt.timedelta(hours=1) if recent else dt.timedelta(days=1 + n % 3, hours=2))
        rows.append(
            {
                "inference_id": f"i{n}",
                "request_id": f"i{n}",
                "answered_at": at.isoformat(),
                "route": "predict",
                "model": "fares",
                "version": second_day.details["production"]["version"],
                "row_keys": {"trip_id": str(n)},
                "features": features,
                "prediction": float(features["distance_km"]),
                "latency_ms": 5.0,
            }
        )
    table = f"{world.app.settings.project}.{world.app.settings.dataset}.inference_log"
    schema = world.app.bigquery.get_table(table).schema
    config = bigquery.LoadJobConfig(schema=schema, write_disposition="WRITE_APPEND")
    world.app.bigquery.load_table_from_json(rows, table, job_config=config).result()
    mailbox = Mailbox()
    message = StageMessage(model="fares", run_id="fares-monitor-one", stage="monitor", as_of=DAY)
    watched = run_stage(world.app.run(message), mailbox)

    assert watched is not None
    assert watched.status == "SUCCEEDED", watched.details["reason"]
    assert "distance_km" in watched.details["reason"]
    assert [m.stage for m in mailbox.messages] == ["check"]


def test_it_is_reviewed_in_the_words_of_its_kind(world: World, second_day: Event) -> None:
    review = gather_review(world.app, "fares", "fares-day-two")
    page = review_page(review)

    assert "mean_absolute_error" in page
    assert "Slices (mean_absolute_error)" in page
    assert "positives" not in page
    assert "Curves" not in page
    assert list(review_tables(review))
    measured = measure_version(world.app, "fares", "champion", "test")
    assert 0.8 < measured["r2_score"] <= 1
    assert "f1_score" not in measured


def test_a_classification_of_single_rows_runs_the_loop_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.bring("tips", 1, 500)
    ended = world.run("tips", "day-one")
    assert ended.details["run_state"] == "PROMOTED", ended.details["reason"]
    assert 0 < ended.details["production"]["threshold"] < 1
    monkeypatch.setattr(row_service, "InferenceLog", lambda _: Log())
    answer = RowService(world.app, "tips").predict(PredictRequest(instances=[{"trip_id": "a", "night": True}]), "r")

    (said,) = answer.predictions
    assert said.prediction is None
    assert said.probability is not None
    assert said.is_positive == (said.probability >= (answer.threshold or 0))


def test_a_gate_that_asks_a_regression_for_precision_is_refused_by_name(world: World) -> None:
    policy = policy_of(world.app.templates("fares"))
    wrong = policy.model_copy(update={"gate": {**policy.gate, "floors": {"precision": 0.5}}})
    with pytest.raises(ConfigurationError, match=r"gate.floors: a regression has no precision"):
        gate_policy_of(wrong)
    wrong = policy.model_copy(update={"gate": {**policy.gate, "primary": "median_absolute_error"}})
    with pytest.raises(ConfigurationError, match=r"gate.primary: median_absolute_error is compared without bounds"):
        gate_policy_of(wrong)
