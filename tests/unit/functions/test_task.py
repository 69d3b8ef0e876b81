"""Stages as tasks of an orchestrator: handed from one to the next, tried again, failed, cancelled."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from deployment.application import Application
from deployment.setup import prepare
from deployment.stages import protocol
from deployment.stages.message import StageMessage
from deployment.stages.protocol import cancel_run
from etl.errors import InputError, StateError
from etl.settings import load_settings
from functions import task
from infra.local.bigquery import BigQueryServer
from infra.local.bqml import Model
from infra.local.credentials import LocalCredentials
from infra.local.vertex import VertexServer
from tests.faults import tiny_model

PROJECT = "bqloop-local"
CHAIN = ("check", "features", "train", "evaluate", "decide", "deploy")
AS_OF = "2026-11-21T05:00:00+00:00"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    """A tiny model with points to learn from; no Pub/Sub, because no task asks for it."""
    folder = tmp_path_factory.mktemp("task")
    credentials = LocalCredentials(folder, project=PROJECT)
    credentials.start()
    vertex = VertexServer(folder / "vertex", project=PROJECT, load_model=Model.load)
    vertex.start()
    warehouse = BigQueryServer(
        folder / "bigquery", project=PROJECT, registry=vertex.registry, storage_root=folder / "storage"
    )
    warehouse.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(credentials.path))
        patch.setenv("BQLOOP_ENV", "local")
        patch.setenv("BQLOOP_ENDPOINTS__BIGQUERY", warehouse.endpoint)
        patch.setenv("BQLOOP_ENDPOINTS__VERTEX", vertex.endpoint)
        patch.setenv("BQLOOP_MODELS", json.dumps(["tiny"]))

        def with_the_tiny_model(settings: Any) -> Application:
            made = Application(settings)
            tiny_model.put_into(made)
            return made

        patch.setattr(task, "Application", with_the_tiny_model)
        app = with_the_tiny_model(load_settings())
        prepare(app)
        tiny_model.fill(app, "tiny", ingested_at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
        yield app
    warehouse.stop()
    vertex.stop()
    credentials.stop()


def walk(run: Mapping[str, Any]) -> list[str | None]:
    """The stages that each stage of a run hands on to."""
    handed = [task.carry_out(stage, "tiny", AS_OF, run) for stage in CHAIN]
    return [message["stage"] if message else None for message in handed]


def state(app: Application, run_id: str) -> str:
    return str(next(row["state"] for row in app.ledger("tiny").read("recent_runs") if row["run_id"] == run_id))


def test_stages_are_handed_from_task_to_task_until_there_is_a_champion(app: Application) -> None:
    assert walk({"run_id": "tiny-first"}) == ["features", "train", "evaluate", "decide", "deploy", None]
    assert state(app, "tiny-first") == "PROMOTED"
    before = app.ledger("tiny").events("tiny-first")
    assert walk({"run_id": "tiny-first"}) == ["features", "train", "evaluate", "decide", "deploy", None]
    assert app.ledger("tiny").events("tiny-first") == before, "a task that is tried again does nothing twice"


def test_a_day_with_nothing_new_hands_nothing_on_and_is_named_after_its_day(app: Application) -> None:
    walk({"run_id": "tiny-first"})
    assert task.carry_out("check", "tiny", "2026-11-22T05:00:00+00:00") is None
    assert state(app, "tiny-2026-11-22") == "SKIPPED"


def test_what_is_asked_of_a_run_is_heeded_by_its_first_stage_alone(
    app: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: dict[str, Mapping[str, Any]] = {}
    stages = {
        name: lambda run, name=name, stage=stage: heard.update({name: run.message.options}) or stage(run)
        for name, stage in protocol.STAGES.items()
    }
    monkeypatch.setattr(protocol, "STAGES", stages)
    run = {"run_id": "tiny-forced", "options": {"force": True}}
    for stage in ("check", "features"):
        handed = task.carry_out(stage, "tiny", AS_OF, run)
    assert heard["check"]["force"] is True
    assert "force" not in heard["features"]
    cancel_run(app.run(StageMessage.model_validate(handed)), "enough of it")


def test_a_stage_that_failed_says_so_and_makes_its_next_attempt_when_tried_again(
    app: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = {"run_id": "tiny-broken", "options": {"force": True}}
    task.carry_out("check", "tiny", AS_OF, run)
    with monkeypatch.context() as patch:

        def broken(_: Any) -> Any:
            raise StateError("the disk of the moon is full")

        patch.setattr(protocol, "STAGES", {**protocol.STAGES, "features": broken})
        with pytest.raises(StateError, match="features of tiny-broken did not end well: the disk of the moon"):
            task.carry_out("features", "tiny", AS_OF, run)
    handed = task.carry_out("features", "tiny", AS_OF, run)
    assert handed is not None
    told = [(e.status, e.attempt) for e in app.ledger("tiny").events("tiny-broken") if e.stage == "features"]
    assert told == [("STARTED", 1), ("FAILED", 1), ("STARTED", 2), ("SUCCEEDED", 2)]
    cancel_run(app.run(StageMessage.model_validate({**handed, "stage": "train"})), "enough of it")


def test_a_run_that_was_cancelled_goes_no_further(app: Application) -> None:
    run = {"run_id": "tiny-cancelled", "options": {"force": True}}
    handed = task.carry_out("check", "tiny", AS_OF, run)
    assert handed is not None
    cancel_run(app.run(StageMessage.model_validate(handed)), "not wanted")
    with pytest.raises(StateError, match="cancelled"):
        task.carry_out("features", "tiny", AS_OF, run)


@pytest.mark.parametrize("run", [{"run_id": "others-1"}, {"as_of": "yesterday"}, {"project": "x"}])
def test_what_is_no_run_is_refused(run: Mapping[str, Any], app: Application) -> None:
    del app
    with pytest.raises(InputError):
        task.carry_out("check", "tiny", AS_OF, run)


def test_a_tick_without_a_challenger_does_nothing(app: Application) -> None:
    events = len(app.ledger("tiny").read("recent_runs"))
    assert task.carry_out("rollout", "tiny", AS_OF) is None
    assert len(app.ledger("tiny").read("recent_runs")) == events
