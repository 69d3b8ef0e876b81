"""A person's word on a held run is a decision of its own, with who said so and why."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace
from typing import Any, cast

import pytest

from deployment.approval import approve, held_run, reject
from deployment.stages.message import StageMessage
from deployment.stages.run import Run
from etl.errors import StateError
from etl.ledger import Event

AS_OF = dt.datetime(2026, 11, 21, tzinfo=dt.UTC)
RUN_ID = "deals-2026-11-21"


class Records:
    """Keeps what is appended and published, in order."""

    def __init__(self, *, winner: str | None = "tree") -> None:
        decision = {"verdict": "HOLD", "winner": winner, "threshold": 0.4, "reasons": ["tree: better"]}
        self.kept = [Event(RUN_ID, "decide", "SUCCEEDED", 1, AS_OF, {"decision": decision, "champion": "3"})]
        self.published: list[StageMessage] = []
        self.runs: list[dict[str, Any]] = []

    def events(self, _: str) -> list[Event]:
        return list(self.kept)

    def read(self, query: str) -> list[dict[str, Any]]:
        assert query == "recent_runs"
        return self.runs

    def append(self, event: Event, **_: Any) -> None:
        self.kept.append(event)

    def publish(self, message: StageMessage) -> None:
        assert self.kept[-1].attempt == 2, "it is recorded before anybody hears of it"
        self.published.append(message)

    def run(self) -> Run:
        nothing = cast("Any", SimpleNamespace())
        message = StageMessage(model="deals", run_id=RUN_ID, stage="decide", as_of=AS_OF)
        run = Run(message, nothing, nothing, nothing, cast("Any", self), nothing)
        run.__dict__["policy"] = SimpleNamespace(concurrency=SimpleNamespace(stale_hours=24))
        return run


def test_approval_is_recorded_and_the_winner_goes_on_to_be_deployed() -> None:
    records = Records()
    event = approve(records.run(), cast("Any", records), by="ada", reason="slices look right")
    assert event == records.kept[-1]
    assert event.details["decision"]["verdict"] == "PROMOTE"
    assert event.details["decision"]["reasons"] == ["approved by ada: slices look right", "tree: better"]
    assert (event.details["champion"], event.details["run_state"]) == ("3", "RUNNING")
    assert [(message.stage, message.run_id) for message in records.published] == [("deploy", RUN_ID)]
    assert records.run().details_of("decide")["decision"]["winner"] == "tree"


def test_a_held_run_waits_while_the_challenger_of_another_is_on_its_way() -> None:
    records = Records()
    now = dt.datetime.now(dt.UTC)
    own = {"run_id": RUN_ID, "state": "HELD", "stage": "decide", "changed_at": now}
    other = {"run_id": "deals-2026-11-22", "state": "CANARY", "stage": "rollout", "changed_at": now}
    records.runs = [other, own]
    with pytest.raises(StateError, match=r"deals-2026-11-22 goes on \(CANARY, stage rollout\)"):
        approve(records.run(), cast("Any", records), by="ada", reason="slices look right")
    assert not records.published
    records.runs = [{**other, "state": "PROMOTED"}, own]
    approve(records.run(), cast("Any", records), by="ada", reason="slices look right")
    assert [message.run_id for message in records.published] == [RUN_ID]


def test_rejection_ends_the_run() -> None:
    records = Records()
    event = reject(records.run(), by="ada", reason="too slow")
    assert event.details["decision"]["verdict"] == "REJECT"
    assert (event.details["reason"], event.details["run_state"]) == ("rejected by ada: too slow", "REJECTED")
    assert event.details["next"] is None


def test_a_run_without_a_winner_cannot_be_approved() -> None:
    records = Records(winner=None)
    with pytest.raises(StateError, match="has no winner to approve"):
        approve(records.run(), cast("Any", records), by="ada", reason="hope")


ROWS: list[dict[str, object]] = [
    {"run_id": "deals-3", "state": "SKIPPED"},
    {"run_id": "deals-2", "state": "HELD"},
    {"run_id": "deals-1", "state": "HELD"},
]


def test_the_newest_held_run_is_meant_unless_another_is_named() -> None:
    assert held_run(ROWS) == "deals-2"
    assert held_run(ROWS, "deals-1") == "deals-1"


@pytest.mark.parametrize(
    ("rows", "run_id", "says"),
    [
        (ROWS[:1], "", "no run waits for approval"),
        (ROWS, "deals-3", "deals-3 is not held: SKIPPED. Held: deals-2, deals-1"),
        (ROWS[:1], "deals-9", "there is no such run. Held: none"),
    ],
)
def test_a_run_that_is_not_held_is_told_with_those_that_are(
    rows: list[dict[str, object]], run_id: str, says: str
) -> None:
    with pytest.raises(StateError, match=says):
        held_run(rows, run_id)
