"""Runs take turns. The ledger here hands turns out as BigQuery does: the first to ask for one has it."""

import datetime as dt
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from deployment.stages.turn import Turn, goes_on, take_turn

NOW = dt.datetime.now(dt.UTC)


def row(run_id: str, state: str, hours_ago: float = 0.5, *, stage: str = "train") -> dict[str, Any]:
    return {"run_id": run_id, "state": state, "stage": stage, "changed_at": NOW - dt.timedelta(hours=hours_ago)}


@dataclass
class Turns:
    rows: list[dict[str, Any]]
    taken: dict[int, str] = field(default_factory=dict)
    recorded: int = 0

    def last_turn(self) -> int:
        return self.recorded

    def holder_of_turn(self, turn: int, run_id: str) -> str:
        return self.taken.setdefault(turn, run_id)

    def read(self, query: str) -> list[dict[str, Any]]:
        assert query == "recent_runs"
        return self.rows

    def take(self, run_id: str) -> Turn:
        policy = SimpleNamespace(concurrency=SimpleNamespace(stale_hours=24))
        run: Any = SimpleNamespace(ledger=self, message=SimpleNamespace(run_id=run_id), policy=policy)
        return take_turn(run)


def test_of_runs_that_ask_in_the_same_instant_one_goes_and_the_others_are_told_which() -> None:
    turns = Turns([row("a", "RUNNING"), row("b", "RUNNING")])
    assert turns.take("b") == Turn(1)
    told = turns.take("a")
    assert told.taken_by is not None
    assert told.taken_by["run_id"] == "b"


def test_a_message_that_comes_again_finds_the_turn_its_own() -> None:
    turns = Turns([row("a", "RUNNING")])
    assert turns.take("a") == turns.take("a") == Turn(1)


def test_the_turn_of_a_run_that_has_ended_is_over() -> None:
    turns = Turns([row("done", "PROMOTED"), row("failed", "FAILED")], {1: "done", 2: "failed"})
    assert turns.take("mine") == Turn(3)


def test_turns_that_are_recorded_are_not_asked_for_again() -> None:
    assert Turns([], recorded=41).take("mine") == Turn(42)


def test_a_run_goes_on_while_it_runs_or_rolls_out_and_is_heard_of() -> None:
    assert goes_on(row("a", "RUNNING"), now=NOW, stale_hours=24)
    assert goes_on(row("a", "CANARY"), now=NOW, stale_hours=24)
    assert not goes_on(row("a", "PROMOTED"), now=NOW, stale_hours=24)
    assert not goes_on(row("a", "RUNNING", 25), now=NOW, stale_hours=24)


def test_batch_scoring_does_not_stop_a_training() -> None:
    assert not goes_on(row("a", "RUNNING", stage="score"), now=NOW, stale_hours=24)
