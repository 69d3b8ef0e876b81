"""Each stage does its work with the roles that Terraform gives its account, and with none of them to spare.

A guard stands between Google's clients and the local cloud. It knows what each call needs, answers 403 to what the
stage's roles do not give, and remembers what was needed.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from deployment.application import Application
from deployment.setup import prepare
from deployment.stages.message import StageMessage
from deployment.stages.protocol import run_stage
from etl.errors import BqloopError
from etl.settings import environment_file, load_settings
from infra.local.cloud import LocalCloud
from tests.e2e.test_loop import import_generated
from tests.unit.infra.gcp.conftest import ROOT, Evaluate

pytestmark = pytest.mark.slow

MODEL = "deal_duplicates"
RUN = f"{MODEL}-roles"
CHAIN = ("check", "features", "train", "evaluate", "decide", "deploy")
# What a role lets its account do, in the words of this test.
ROLES = {
    "": set[str](),
    "roles/bigquery.dataViewer": {"read"},
    "roles/bigquery.dataEditor": {"read", "write"},
    "roles/aiplatform.viewer": {"read"},
    "roles/aiplatform.user": {"read", "write"},
}
_WRITES = re.compile(
    r"\b(?:CREATE|INSERT INTO|DELETE FROM|UPDATE|MERGE|DROP|ALTER|TRUNCATE)\b[^`]*`([^`]+)`", re.IGNORECASE
)
_NAMES = re.compile(r"`[\w-]+\.(bqloop(?:_ledger)?)\.")


@dataclass
class Guard:
    vertex: str
    allowed: set[str] = field(default_factory=set)
    needed: set[str] = field(default_factory=set)
    denied: set[str] = field(default_factory=set)

    def needs(self, method: str, url: str, body: Any) -> set[str]:
        if url.startswith(self.vertex):
            return {"vertex read" if method == "GET" else "vertex write"}
        found = {"jobs"} if "/jobs" in url or "/queries" in url else set()
        query = ""
        if body and "/jobs" in url and method == "POST":
            query = json.loads(body).get("configuration", {}).get("query", {}).get("query", "")
        text = re.sub(r"/\*.*?\*/|--[^\n]*", "", query, flags=re.DOTALL)
        for dataset in set(_NAMES.findall(text)) | set(re.findall(r"/datasets/(\w+)/", url)):
            found.add(f"{'ledger' if dataset.endswith('_ledger') else 'deals'} read")
        for name in _WRITES.findall(text):
            _, dataset, table = name.split(".")
            whole = f"{'ledger' if dataset.endswith('_ledger') else 'deals'} write"
            single = f"{whole} {table}"
            found.add(single if single in self.allowed else whole)
        if "model_registry" in text.lower():
            found.add("vertex write")  # CREATE MODEL registers the version with the account's own roles
        return found

    def watch(self, session: requests.Session, method: str, url: str, **rest: Any) -> requests.Response:
        needed = self.needs(method, url, rest.get("data"))
        self.needed |= needed
        self.denied |= needed - self.allowed
        if needed <= self.allowed:
            return _REQUEST(session, method, url, **rest)
        answer = requests.Response()
        answer.request = requests.Request(method, url).prepare()
        answer.status_code = 403
        answer.url = url
        answer.headers["Content-Type"] = "application/json"
        lacking = ", ".join(sorted(needed - self.allowed))
        error = {"code": 403, "message": f"lacks {lacking}", "errors": [{"reason": "accessDenied", "message": lacking}]}
        answer._content = json.dumps({"error": error}).encode()
        return answer


_REQUEST = requests.Session.request


@dataclass
class House:
    app: Application
    guard: Guard
    grants: dict[str, set[str]]

    def run(self, stage: str, *, without: str = "") -> None:
        """One delivery to a stage, with the roles of its account less `without`."""
        kind = f"{MODEL}-{stage}-roles" if stage in {"score", "monitor"} else RUN
        message = StageMessage(model=MODEL, run_id=kind, stage=stage, as_of=self.app_as_of)  # type: ignore[arg-type]
        self.guard.allowed, self.guard.needed, self.guard.denied = self.grants[stage] - {without}, set(), set()
        run_stage(Application(self.app.settings).run(message), _Nobody())

    def state(self, run_id: str) -> Any:
        self.guard.allowed = {"jobs", "ledger read"}
        return next((r for r in self.app.ledger(MODEL).read("recent_runs") if r["run_id"] == run_id), None)

    app_as_of: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))


class _Nobody:
    def publish(self, message: StageMessage) -> str:
        return message.run_id


def grants_of(here: dict[str, Any], stage: str) -> set[str]:
    # messages.tf and accounts.tf give every stage jobUser, and dataEditor on the ledger.
    given = {"jobs", "ledger read", "ledger write"}
    given |= {f"deals {right}" for right in ROLES[here["deals_role"][stage]]}
    given |= {f"deals write {table}" for table in here["table_writes"].get(stage, ())}
    return given | {f"vertex {right}" for right in ROLES[here["vertex_role"].get(stage, "")]}


@pytest.fixture(scope="module")
def house(evaluated: Evaluate, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    here = evaluated("dev")
    config = yaml.safe_load(environment_file("local").read_text())
    state = tmp_path_factory.mktemp("roles")
    cloud = LocalCloud(config, state, root=ROOT, with_functions=False, with_scheduler=False)
    with pytest.MonkeyPatch.context() as patch:
        cloud.start()
        try:
            for name, value in cloud.environment().items():
                patch.setenv(name, value)
            app = Application(load_settings("local"))
            prepare(app)
            import_generated(app, Path(state), 0)
            guard = Guard(app.settings.endpoints.vertex)
            patch.setattr(
                requests.Session, "request", lambda s, method, url, **rest: guard.watch(s, method, url, **rest)
            )
            yield House(app, guard, {s: grants_of(here, s) for s in (*CHAIN, "score", "monitor")})
        finally:
            cloud.stop()


def test_every_stage_of_a_run_does_its_work_with_its_roles_and_needs_every_one_of_them(house: House) -> None:
    spare = {}
    for stage in CHAIN:
        house.run(stage)
        assert house.guard.denied == set(), stage
        # A role that lets its account write lets it read, too; that comes with it.
        with_it = {need.replace("write", "read") for need in house.guard.needed}
        spare[stage] = house.guard.allowed - house.guard.needed - with_it
    assert house.state(RUN)["state"] == "PROMOTED"
    assert {stage: unused for stage, unused in spare.items() if unused} == {}


@pytest.mark.parametrize("stage", ["score", "monitor"])
def test_scoring_and_watching_need_no_more_than_their_roles(stage: str, house: House) -> None:
    house.run(stage)
    assert house.guard.denied == set()


@pytest.mark.parametrize(("stage", "role"), [("check", "deals read"), ("check", "ledger write"), ("check", "jobs")])
def test_a_stage_that_lacks_a_role_fails_and_publishes_no_success(stage: str, role: str, house: House) -> None:
    other = f"{RUN}-without-{role.replace(' ', '-')}"
    message = StageMessage(model=MODEL, run_id=other, stage="check", as_of=house.app_as_of)
    house.guard.allowed, house.guard.denied = house.grants[stage] - {role}, set()
    try:
        event = run_stage(Application(house.app.settings).run(message), _Nobody())
    except BqloopError:
        event = None
    assert house.guard.denied == {role}
    assert event is None or event.status == "FAILED"
