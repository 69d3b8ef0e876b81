"""Each function does its work with the roles that Terraform gives its account, and fails without any one of them.

The functions run as in production, their messages and requests pass the guard of roles.py, and everything that passes is
held against Google's discovery documents, too.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import functions_framework
import pytest
import yaml
from cloudevents.http import CloudEvent
from google.api_core import exceptions as api

from deployment.application import Application
from deployment.publisher import StagePublisher
from deployment.setup import prepare
from deployment.stages.message import StageMessage
from deployment.stages.protocol import run_stage
from etl.errors import BqloopError
from etl.settings import environment_file, load_settings
from functions import dead_letters, stage_events
from functions.service import routes
from infra.local.cloud import LocalCloud
from infra.local.credentials import LocalCredentials
from tests.e2e.test_loop import import_generated
from tests.unit.deployment.rollout_world import RolloutWorld
from tests.unit.infra.gcp.conftest import ROOT, Evaluate
from tests.unit.infra.gcp.discovery import Request, departures, recording
from tests.unit.infra.gcp.roles import Grants, Guard, grants_of, guarded

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

MODEL = "deal_duplicates"
CHAIN = ("check", "features", "train", "evaluate", "decide", "deploy")
STAGES = (*CHAIN, "score", "monitor")
ALL = (*STAGES, "rollout", "dead-letter", "service")
DEAD_LETTERS = "roles/pubsub.publisher on bqloop-dead-letter"
REFUSED = (BqloopError, api.PermissionDenied)


@pytest.fixture(scope="module")
def grants(evaluated: Evaluate, module: dict[str, Any]) -> dict[str, Grants]:
    here = evaluated("dev")
    asks = module["resource"]["google_project_iam_custom_role"]["asks"]["permissions"]
    return {account: grants_of(here, asks, account) for account in ALL}


class House:
    """A local cloud, and the functions before the guard."""

    def __init__(self, app: Application, guard: Guard, grants: dict[str, Grants]) -> None:
        self.app, self.guard, self.grants = app, guard, grants
        self.as_of = dt.datetime.now(dt.UTC)
        self.publisher = StagePublisher(app.settings)
        self.wrong: dict[str, object] = {}

    def try_without_each(self, account: str, work: Callable[[], bool], *, but: tuple[str, ...] = ()) -> None:
        """Note every grant without which the work is done all the same; `work` tells whether it was."""
        for grant in self.grants[account]:
            if grant in but:
                continue
            with self.guard.account(self.grants[account], without=grant):
                try:
                    done = work()
                except REFUSED:
                    done = False
                denied = set(self.guard.denied)
            if done or not denied:
                self.wrong[f"{account} without {grant}"] = "it did its work" if done else "nothing was refused"

    def with_all(self, account: str, work: Callable[[], bool], *, spare: tuple[str, ...] = ()) -> None:
        """Note where the work is not done with all grants, and grants that it has no use for."""
        with self.guard.account(self.grants[account]):
            done = work()
            if not done or self.guard.denied:
                self.wrong[f"{account} with all its grants"] = f"done: {done}, lacks {self.guard.denied}"
            unused = self.guard.unused(self.grants[account]) - {*spare}
            if unused:
                self.wrong[f"{account} has no use for"] = unused

    def stage(self, stage: str) -> bool:
        """One delivery to a stage; whether it went well."""
        run_id = f"{MODEL}-roles" if stage in CHAIN else f"{MODEL}-{stage}-roles"
        app = Application(self.app.settings)  # a new one, so that nothing is known from another account's look
        with self.as_a_person():
            failed = sum(e.stage == stage and e.status == "FAILED" for e in self.app.ledger(MODEL).events(run_id))
        options = {"attempt": failed + 1}
        message = StageMessage(model=MODEL, run_id=run_id, stage=stage, as_of=self.as_of, options=options)  # type: ignore[arg-type]
        event = run_stage(app.run(message), self.publisher)
        return event is not None and event.status == "SUCCEEDED"

    def as_a_person(self) -> Any:
        guard = self.guard

        class Aside:
            def __enter__(self) -> None:
                self.grants, guard.grants = guard.grants, None

            def __exit__(self, *_: object) -> None:
                guard.grants = self.grants

        return Aside()

    def publishes(self, stage: str) -> bool:
        self.publisher.publish(StageMessage(model=MODEL, run_id=f"{MODEL}-p", stage=stage, as_of=self.as_of))  # type: ignore[arg-type]
        return True

    def hands_on_what_it_cannot_read(self, stage: str) -> bool:
        handle = stage_events.handle_rollout if stage == "rollout" else lambda e: stage_events.handle(stage, e)
        handle(event(b"{"))
        return True


def event(data: bytes, **attributes: str) -> CloudEvent:
    message = {"data": base64.b64encode(data).decode(), "messageId": "1", "attributes": attributes}
    message["publishTime"] = "2026-11-21T05:00:00Z"
    about = {"id": "1", "source": "//pubsub", "type": "google.cloud.pubsub.topic.v1.messagePublished"}
    return CloudEvent(about, {"message": message})


def forget_instances() -> None:
    """As a new instance of a function begins."""
    stage_events.application.cache_clear()
    stage_events._dead_letter_client.cache_clear()
    routes._service.cache_clear()


@pytest.fixture
def house(grants: dict[str, Grants], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    config = yaml.safe_load(environment_file("local").read_text())
    cloud = LocalCloud(config, tmp_path, root=ROOT, with_functions=False, with_scheduler=False)
    cloud.start()
    try:
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("BQLOOP_ENV", "local")
        monkeypatch.setenv("BQLOOP_INFERENCE_BUFFER", str(tmp_path / "buffer"))
        forget_instances()
        app = Application(load_settings("local"))
        prepare(app)
        import_generated(app, tmp_path, 0)
        with guarded(app.settings.endpoints.vertex) as guard:
            yield House(app, guard, grants)
    finally:
        forget_instances()
        cloud.stop()


def test_every_function_does_its_work_with_its_roles_and_fails_without_any_one_of_them(
    house: House, tmp_path: Path
) -> None:
    with recording() as sent:
        for stage in STAGES:
            publishing = tuple(name for name in house.grants[stage] if "pubsub" in name)
            house.try_without_each(stage, lambda stage=stage: house.stage(stage), but=publishing)  # type: ignore[misc]
            # monitor announces a check only where something drifted; that it may is tried below.
            spare = publishing if stage == "monitor" else (DEAD_LETTERS,)
            house.with_all(stage, lambda stage=stage: house.stage(stage), spare=spare)  # type: ignore[misc]
        the_predictions(house, tmp_path)
    messages(house)
    assert house.wrong == {}
    endpoints = house.app.settings.endpoints
    apis = {endpoints.bigquery: "bigquery.v2", endpoints.vertex: "aiplatform.v1"}
    requests: list[Request] = [replace(r, api=apis[r.api]) for r in sent if r.api in apis]
    assert len(requests) > 1000
    assert departures(requests) == {}


def the_predictions(house: House, folder: Path) -> None:
    """The service answers, takes a verdict and publishes what it said."""
    rows = house.app.bigquery.list_rows(f"{house.app.settings.project}.bqloop.labels", max_results=1)
    (pair,) = [
        {side: {"source": row[f"{side}_source"], "deal_id": row[f"{side}_id"]} for side in ("left", "right")}
        for row in rows
    ]
    deal = {"source": "a", "deal_id": "new", "title": "A kettle that nobody has seen"}
    verdict = {**pair, "is_duplicate": True, "given_by": "somebody"}

    def work() -> bool:
        forget_instances()
        app = functions_framework.create_app("service", ROOT / "functions" / "main.py", "http")
        asked = {"/score": {"pairs": [pair]}, "/duplicates": {"deals": [deal]}, "/feedback": verdict}
        said = [app.test_client().post(path, json=body).status_code for path, body in asked.items()]
        # What Pub/Sub does not take waits on the disk: the answer leaves, but the prediction has not landed.
        return said == [200] * 3 and not list((folder / "buffer").glob("*.ndjson"))

    house.with_all("service", work)
    publishing = tuple(name for name in house.grants["service"] if "pubsub" in name)
    house.try_without_each("service", work, but=publishing)
    for grant in publishing:  # at the end, because what waits is sent again and again
        with house.guard.account(house.grants["service"], without=grant):
            if work():
                house.wrong[f"service without {grant}"] = "predictions landed"
    end = time.monotonic() + 60
    while list((folder / "buffer").glob("*.ndjson")):  # it goes out in the background, as nobody else's message
        assert time.monotonic() < end, "what waited was never published"
        time.sleep(0.2)
    time.sleep(2)  # the thread that sends it looks once more


def messages(house: House) -> None:
    """Every function publishes what it must, and records what was given up."""
    forget_instances()
    for stage in (*STAGES, "rollout"):
        for topic in [name.rsplit(" bqloop-", 1)[1] for name in house.grants[stage] if "pubsub" in name]:
            publishes = house.hands_on_what_it_cannot_read if topic == "dead-letter" else house.publishes
            name = f"roles/pubsub.publisher on bqloop-{topic}"
            subject = stage if topic == "dead-letter" else topic
            with house.guard.account(house.grants[stage]):
                publishes(subject)
            with house.guard.account(house.grants[stage], without=name), pytest.raises(REFUSED):
                publishes(subject)
    given_up = json.dumps({"model": MODEL, "run_id": f"{MODEL}-x", "stage": "train", "as_of": "2026-11-21T05:00:00Z"})

    def work() -> bool:
        dead_letters.handle(event(given_up.encode(), stage="train"))
        return True

    house.try_without_each("dead-letter", work)
    house.with_all("dead-letter", work)


def test_a_rollout_goes_forth_and_back_with_its_roles_and_fails_without_any_one_of_them(
    grants: dict[str, Grants], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials = LocalCredentials(tmp_path, project="bqloop-local")
    credentials.start()
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(credentials.path))
    mine = grants["rollout"]
    needed: set[str] = set()
    for name, ail in {"good": {}, "bad": {"invert_scores": True}}.items():
        with RolloutWorld.running(tmp_path / name) as world, guarded(world.vertex.endpoint) as guard:
            world.serve(20)
            world.start_canary(share=50)
            if ail:
                world.ail(**ail)
            world.serve(60)
            for grant in mine:
                if grant == DEAD_LETTERS:
                    continue
                with guard.account(mine, without=grant), pytest.raises(BqloopError):
                    world.tick()
                assert world.shares == {world.versions[0]: 50, world.versions[1]: 50}, grant
            with guard.account(mine):
                step = world.tick()
                assert guard.denied == set()
                needed |= guard.needed
            assert step is not None
            assert step.details["run_state"] == ("ROLLED_BACK" if ail else "PROMOTED")
    guard.needed = needed
    assert guard.unused(mine) == {DEAD_LETTERS}
    credentials.stop()


def test_the_guard_refuses_what_no_role_gives_and_knows_every_method_by_its_permission() -> None:
    guard = Guard("http://vertex")
    with guard.account({"a": frozenset({"deals read", "deals write labels"})}):
        assert guard.lacking({"deals read", "deals write labels"}) == set()
        assert guard.lacking({"deals write", "jobs"}) == {"deals write", "jobs"}
        assert guard.unused({"a": frozenset({"deals read"}), "b": frozenset({"ledger write"})}) == {"b"}
    insert = {
        "configuration": {"query": {"query": "INSERT INTO `p.bqloop.labels` SELECT 1 FROM `p.bqloop_ledger.runs`"}}
    }
    assert guard.needs("POST", "http://bigquery/projects/p/jobs", json.dumps(insert)) == {
        "jobs",
        "deals read",
        "deals write labels",
        "ledger read",
    }
    endpoint = "http://vertex/v1/projects/p/locations/l/endpoints/e"
    assert guard.needs("POST", f"{endpoint}:predict", None) == {"aiplatform.endpoints.predict"}
    with pytest.raises(KeyError):
        guard.needs("POST", f"{endpoint}:explain", None)
