"""How a stage behaves when its message comes twice, late, or to a function that dies half-way.

The ledger and the publisher here keep what they are told in memory; that BigQuery and Pub/Sub do the same is tested
end to end.
"""

import datetime as dt
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest

from deployment.stages import protocol
from deployment.stages.message import StageMessage
from deployment.stages.run import Outcome
from etl.errors import StateError, StatementError, StillRunning
from etl.ledger import Event
from etl.warehouse import Usage

MESSAGE = StageMessage(
    model="deals", run_id="deals-2026-03-01", stage="features", as_of=dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
)


@dataclass
class MemoryLedger:
    recorded: dict[str, Event] = field(default_factory=dict)
    dies_after: int | None = None

    def append(self, event: Event, *, usage: Usage | None = None) -> None:
        if self.dies_after is not None:
            if self.dies_after == 0:
                raise KeyboardInterrupt("killed before the record")
            self.dies_after -= 1
        self.recorded.setdefault(event.event_id, event)

    def events(self, run_id: str) -> list[Event]:
        return [event for event in self.recorded.values() if event.run_id == run_id]


@dataclass
class MemoryPublisher:
    published: list[StageMessage] = field(default_factory=list)
    dies: bool = False

    def publish(self, message: StageMessage) -> str:
        if self.dies:
            raise KeyboardInterrupt("killed before the publication")
        self.published.append(message)
        return str(len(self.published))


@dataclass
class World:
    monkeypatch: pytest.MonkeyPatch
    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    publisher: MemoryPublisher = field(default_factory=MemoryPublisher)
    worked: int = 0

    def deliver(self, stage: Any, message: StageMessage = MESSAGE) -> Event | None:
        def counted(run: Any) -> Outcome:
            self.worked += 1
            return stage(run)

        self.monkeypatch.setitem(protocol.STAGES, message.stage, counted)  # type: ignore[arg-type]
        run: Any = SimpleNamespace(
            message=message, ledger=self.ledger, usage=Usage(), events=list(self.ledger.recorded.values())
        )
        return protocol.run_stage(run, self.publisher)

    def statuses(self) -> list[str]:
        return [event.status for event in self.ledger.recorded.values()]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def succeed(_run: Any) -> Outcome:
    return Outcome("done", next_stage="train", options={"hint": 1})


def test_a_stage_is_recorded_and_its_successor_announced(world: World) -> None:
    world.deliver(succeed)
    assert world.statuses() == ["STARTED", "SUCCEEDED"]
    assert world.publisher.published == [MESSAGE.successor("train", hint=1)]


def test_a_second_delivery_announces_the_successor_again_and_does_nothing_else(world: World) -> None:
    world.deliver(succeed)
    world.deliver(succeed)
    assert world.worked == 1
    assert world.statuses() == ["STARTED", "SUCCEEDED"]
    assert world.publisher.published == [MESSAGE.successor("train", hint=1)] * 2


def test_a_delivery_to_a_stage_that_a_twin_has_ended_clears_away_what_it_may_have_left(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cleared: list[str] = []
    monkeypatch.setattr(protocol, "TIDIES", {"features": lambda run: cleared.append(run.message.run_id)})
    world.deliver(succeed)
    assert cleared == []
    world.deliver(succeed)
    assert cleared == [MESSAGE.run_id]
    assert set(protocol.TIDIES) <= set(protocol.STAGES)


def test_a_death_between_record_and_publication_is_mended_by_the_next_delivery(world: World) -> None:
    world.publisher.dies = True
    with pytest.raises(KeyboardInterrupt):
        world.deliver(succeed)
    world.publisher.dies = False
    world.deliver(succeed)
    assert world.worked == 1
    assert world.publisher.published == [MESSAGE.successor("train", hint=1)]


def test_a_death_before_the_record_makes_the_stage_run_again(world: World) -> None:
    world.ledger.dies_after = 1
    with pytest.raises(KeyboardInterrupt):
        world.deliver(succeed)
    assert world.publisher.published == []
    world.ledger.dies_after = None
    world.deliver(succeed)
    assert world.worked == 2
    assert world.statuses() == ["STARTED", "SUCCEEDED"]


def test_a_stage_that_is_not_ready_is_delivered_again_and_leaves_no_end(world: World) -> None:
    def busy(_run: Any) -> Outcome:
        raise StillRunning("the job goes on")

    with pytest.raises(StillRunning):
        world.deliver(busy)
    assert world.statuses() == ["STARTED"]
    world.deliver(succeed)
    assert world.statuses() == ["STARTED", "SUCCEEDED"]


def test_an_error_that_no_retry_mends_is_recorded_and_the_message_is_done_with(world: World) -> None:
    def wrong(_run: Any) -> Outcome:
        raise StatementError("Unrecognized name: titel")

    event = world.deliver(wrong)
    assert event is not None
    assert event.status == "FAILED"
    assert event.details == {"reason": "Unrecognized name: titel", "run_state": "FAILED"}
    assert world.publisher.published == []


def test_a_late_delivery_to_a_failed_stage_changes_nothing_but_a_replay_tries_again(world: World) -> None:
    def wrong(_run: Any) -> Outcome:
        raise StatementError("Unrecognized name: titel")

    world.deliver(wrong)
    assert world.deliver(succeed) is None
    assert world.worked == 1
    replay = replace_options(MESSAGE, attempt=2)
    world.deliver(succeed, replay)
    assert world.statuses() == ["STARTED", "FAILED", "STARTED", "SUCCEEDED"]


def test_what_stumbles_over_a_twin_that_was_faster_is_no_failure(world: World) -> None:
    def overtaken(_run: Any) -> Outcome:
        details = {"next": {"stage": "train", "options": {}}}
        world.ledger.append(Event(MESSAGE.run_id, "features", "SUCCEEDED", 1, MESSAGE.as_of, details))
        raise StateError("it is deployed already")

    event = world.deliver(overtaken)
    assert event is not None
    assert event.status == "SUCCEEDED"
    assert world.statuses() == ["STARTED", "SUCCEEDED"]
    assert world.publisher.published == [MESSAGE.successor("train")]


def test_a_stage_that_ends_the_run_announces_nothing(world: World) -> None:
    world.deliver(lambda _run: Outcome("nothing new", "SKIPPED", status="SKIPPED"))
    assert world.publisher.published == []
    assert world.statuses() == ["STARTED", "SKIPPED"]


def test_an_error_that_nobody_foresaw_is_raised_for_another_delivery(world: World) -> None:
    def broken(_run: Any) -> Outcome:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        world.deliver(broken)
    assert world.statuses() == ["STARTED"]


def replace_options(message: StageMessage, **options: Any) -> StageMessage:
    return message.model_copy(update={"options": options})


def test_events_of_different_attempts_are_different_events() -> None:
    first = Event("r", "train", "FAILED", 1, MESSAGE.as_of, {})
    assert first.event_id != replace(first, attempt=2).event_id


def test_a_cancelled_run_does_nothing_any_more(world: World) -> None:
    world.ledger.append(Event(MESSAGE.run_id, "check", "CANCELLED", 1, MESSAGE.as_of, {}))
    assert world.deliver(succeed) is None
    assert world.worked == 0
    assert world.publisher.published == []


def ended(stage: str, following: str | None, **options: Any) -> Event:
    details = {"reason": "done", "next": {"stage": following, "options": options} if following else None}
    return Event(MESSAGE.run_id, stage, "SUCCEEDED", 1, MESSAGE.as_of, details)


def test_a_replay_tries_the_failed_stage_again_with_the_options_it_had() -> None:
    events = [
        ended("check", "features", hint=3),
        Event(MESSAGE.run_id, "features", "FAILED", 2, MESSAGE.as_of, {"reason": "no"}),
    ]
    replay = protocol.message_to_replay(events, model="deals")
    assert (replay.stage, replay.options) == ("features", {"hint": 3, "attempt": 3})


@pytest.mark.parametrize("gives_up", [True, False])
def test_a_replay_of_the_first_stage_asks_for_what_was_asked_of_it(world: World, gives_up: bool) -> None:
    """Nobody announced it, so what was asked is known by its own events alone."""

    def wrong(_run: Any) -> Outcome:
        raise StatementError("Unrecognized name: titel")

    asked = replace_options(MESSAGE, force=True).model_copy(update={"stage": "check"})
    if gives_up:
        run: Any = SimpleNamespace(message=asked, ledger=world.ledger, usage=Usage(), events=[])
        protocol.give_up(run, "given up after 5 deliveries")
    else:
        world.deliver(wrong, asked)
    replay = protocol.message_to_replay(world.ledger.events(MESSAGE.run_id), model="deals")
    assert (replay.stage, replay.options) == ("check", {"force": True, "attempt": 2})


def test_a_replay_of_a_run_whose_successor_was_never_heard_announces_it() -> None:
    replay = protocol.message_to_replay([ended("check", "features")], model="deals")
    assert (replay.stage, replay.attempt) == ("features", 1)


def test_a_replay_from_a_stage_that_has_ended_carries_on_behind_it_and_tries_again_what_failed() -> None:
    failed = Event(MESSAGE.run_id, "train", "FAILED", 1, MESSAGE.as_of, {"reason": "no"})
    events = [ended("check", "features"), ended("features", "train", hint=4), failed]
    for stage in ("check", "features", "train", ""):
        replay = protocol.message_to_replay(events, model="deals", from_stage=stage)
        assert (replay.stage, replay.options) == ("train", {"hint": 4, "attempt": 2})


@pytest.mark.parametrize("stage", ["decide", "nonsense"])
def test_a_replay_cannot_begin_at_a_stage_that_the_run_has_not_come_to(stage: str) -> None:
    events = [ended("check", "features")]
    with pytest.raises(StateError, match=f"has not come to stage '{stage}'.*it knows: check, features"):
        protocol.message_to_replay(events, model="deals", from_stage=stage)


@pytest.mark.parametrize("state", ["RUNNING", "HELD", "FAILED"])
def test_a_run_that_goes_on_waits_or_failed_may_be_cancelled(state: str) -> None:
    protocol.check_that_it_goes_on("deals-1", state)


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("CANARY", "take that back with: bqloop rollback"),
        ("PROMOTED", "has ended: PROMOTED"),
        ("SKIPPED", "has ended: SKIPPED"),
        ("CANCELLED", "was cancelled before"),
    ],
)
def test_a_run_that_has_ended_or_serves_is_not_cancelled(state: str, told: str) -> None:
    with pytest.raises(StateError, match=told):
        protocol.check_that_it_goes_on("deals-1", state)


def test_an_orchestrator_may_ask_a_stage_that_has_ended_once_more() -> None:
    events = [ended("check", "features", hint=4), ended("features", "train")]
    asked = protocol.message_to_stage(events, "features", model="deals")
    assert (asked.stage, asked.options) == ("features", {"hint": 4, "attempt": 1})


@pytest.mark.parametrize("last", [ended("decide", None), Event("r", "train", "CANCELLED", 1, MESSAGE.as_of, {})])
def test_a_run_that_is_over_cannot_be_replayed(last: Event) -> None:
    with pytest.raises(StateError):
        protocol.message_to_replay([last], model="deals")
