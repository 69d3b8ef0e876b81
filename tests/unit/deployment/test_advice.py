"""Each situation in which a run can be broken has its sentence and its command; what is sound has none."""

import datetime as dt
from typing import Any

import pytest

from deployment.advice import Advice, Serving, advise, with_advice

NOW = dt.datetime(2026, 3, 10, 5, tzinfo=dt.UTC)
SOUND = Serving("2", {"2": 100})
HISTORY = [{"version": "2", "share": 100, "run_id": "deals-2026-03-08"}]


def run(
    state: str,
    *,
    minutes: float = 5,
    stage: str = "train",
    run_id: str = "deals-2026-03-09",
    stage_status: str = "SUCCEEDED",
) -> dict[str, Any]:
    at = NOW - dt.timedelta(minutes=minutes)
    return {
        "run_id": run_id,
        "state": state,
        "stage": stage,
        "stage_status": stage_status,
        "reason": "because",
        "changed_at": at,
    }


def said(*runs: dict[str, Any], serving: Serving | None = SOUND, history: Any = HISTORY) -> list[tuple[str, str]]:
    return [(a.problem, a.command) for a in advise(runs, history, serving, now=NOW)]


@pytest.mark.parametrize("state", ["PROMOTED", "REJECTED", "SKIPPED", "RUNNING", "CANARY", "CANCELLED", "SCORED"])
def test_what_is_sound_gets_no_advice(state: str) -> None:
    assert said(run(state)) == []


@pytest.mark.parametrize(
    ("row", "problem", "command"),
    [
        (run("FAILED"), "stage train failed: because", "bqloop runs replay deals-2026-03-09"),
        (run("RUNNING", minutes=30), "nothing was heard of it for 30 minutes", "bqloop runs replay deals-2026-03-09"),
        (
            run("RUNNING", minutes=60 * 30),
            "nothing was heard of it for 30 hours",
            "bqloop runs replay deals-2026-03-09",
        ),
        (run("HELD"), "waits for a person", "bqloop approve deals-2026-03-09"),
        (run("CANARY", minutes=60 * 30), "same share of the traffic for 30 hours", "bqloop rollback"),
        (run("CANARY", minutes=1, stage_status="FAILED"), "its rollout is refused: because", "bqloop rollback"),
        (run("ROLLED_BACK"), "rolled back: because", "bqloop retrain --force --wait"),
        (
            run("FAILED", run_id="deals-malformed-7", stage="check"),
            "a message to stage check could not be read",
            "bqloop runs show deals-malformed-7",
        ),
    ],
)
def test_a_broken_run_gets_the_command_that_mends_it(row: dict[str, Any], problem: str, command: str) -> None:
    ((told, told_command),) = said(row)
    assert problem in told
    assert told_command == command


@pytest.mark.parametrize(
    ("serving", "problem", "command"),
    [
        (None, "Vertex AI cannot be reached", "bqloop doctor"),
        (Serving(None, {}), "no version has the alias champion", "bqloop retrain --force --wait"),
        (Serving("2", {}), "gives it no traffic: nothing is deployed", "bqloop rollback --to 2"),
        (Serving("3", {"3": 100}), "the ledger's last word is version 2", "bqloop history"),
        (Serving("2", {"2": 100, "1": 0}), "version 1 is still deployed", "bqloop rollback --to 2"),
    ],
)
def test_registry_endpoint_and_ledger_that_disagree_are_told(serving: Any, problem: str, command: str) -> None:
    ((told, told_command),) = said(run("PROMOTED"), serving=serving)
    assert problem in told
    assert told_command == command


@pytest.mark.parametrize("state", ["RUNNING", "CANARY"])
def test_while_the_local_cloud_is_down_a_run_that_goes_on_is_told_to_wait_for_it(state: str) -> None:
    found = advise([run(state), run("PROMOTED")], HISTORY, SOUND, now=NOW, delivered=False)
    assert [(a.run_id, a.command) for a in found] == [("deals-2026-03-09", "bqloop up")]
    assert "the local cloud is down" in found[0].problem
    assert advise([run("PROMOTED")], HISTORY, SOUND, now=NOW, delivered=False) == []


def test_a_schedule_that_fell_silent_is_told_unless_there_is_none_at_the_moment() -> None:
    old = run("SKIPPED", minutes=60 * 72)
    assert said(run("SKIPPED", minutes=60 * 49), old) == []
    ((problem, command),) = said(old)
    assert "no run for 72 hours" in problem
    assert command == "bqloop doctor"
    assert advise([old], HISTORY, SOUND, now=NOW, delivered=False) == []
    assert said() == []


def test_a_challenger_on_its_way_is_no_stranger_on_the_endpoint() -> None:
    assert said(run("CANARY"), serving=Serving("2", {"2": 80, "3": 20})) == []


def test_a_failure_that_a_later_run_made_up_for_is_no_longer_told() -> None:
    assert said(run("PROMOTED"), run("FAILED", run_id="deals-2026-03-01")) == []
    assert said(run("SCORED", stage="score"), run("FAILED", run_id="deals-2026-03-01")) != []


def test_before_anything_serves_nothing_is_missing() -> None:
    assert said(run("SKIPPED"), serving=Serving(None, {}), history=[]) == []


def test_programs_are_told_what_people_are_also_what_is_about_no_run_and_a_second_thing_about_one() -> None:
    runs = [run("FAILED"), run("PROMOTED", run_id="deals-2026-03-08")]
    found = [
        Advice("deals-2026-03-09", "it failed", "bqloop runs replay deals-2026-03-09"),
        Advice("deals-2026-03-09", "a stranger", "bqloop rollback"),
        Advice("", "Vertex AI cannot be reached", "bqloop doctor"),
    ]
    first, sound, *others = with_advice(runs, found)
    assert first == {**runs[0], "problem": "it failed", "command": "bqloop runs replay deals-2026-03-09"}
    assert sound == runs[1]
    assert others == [
        {"run_id": "deals-2026-03-09", "problem": "a stranger", "command": "bqloop rollback"},
        {"run_id": "", "problem": "Vertex AI cannot be reached", "command": "bqloop doctor"},
    ]
