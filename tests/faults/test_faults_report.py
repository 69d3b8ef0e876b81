"""What `make faults` says while it runs and at its end."""

import io
import json
import re
import shlex

from etl.errors import UnavailableError
from tests.faults.calls import Fault
from tests.faults.progress import Progress
from tests.faults.report import report
from tests.faults.scenarios import Scenario
from tests.faults.suite import Result
from tests.faults.waiting import Silence, patiently, wait_while_moving

SCENARIO = Scenario("killed before a call", {"train": Fault(3, "kill-before")}, seed=7)


def test_the_report_ends_with_one_line_that_counts_faults_and_all_that_went_wrong() -> None:
    results = [
        Result(SCENARIO, injected=5),
        Result(SCENARIO, injected=2, lost=["no champion"], doubled=["a", "b"], stuck=["it stands still"]),
    ]
    last = report(results).splitlines()[-1]
    assert last == "7 faults injected in 2 runs, 5 survived: 1 lost, 2 doubled, 1 stuck"


def test_a_failure_is_told_with_a_command_that_a_shell_takes_apart_into_the_same_scenario() -> None:
    text = report([Result(SCENARIO, injected=1, stuck=["it stands still"])])
    arguments = re.search(r"^make faults ARGS='(.*)'$", text, re.MULTILINE)
    assert arguments is not None
    option, scenario = shlex.split(arguments[1])
    assert option == "--scenario"
    assert Scenario.parse(scenario) == SCENARIO
    assert "stuck: it stands still" in text


def test_each_run_leaves_a_mark_at_once_and_a_failure_says_how_far_it_all_is() -> None:
    told = io.StringIO()
    progress = Progress(told)
    progress.planned(3)
    progress.ended(Result(SCENARIO, injected=4))
    assert told.getvalue() == "."
    progress.ended(Result(SCENARIO, injected=1, doubled=["event x: 2 times"]))
    assert f"x {SCENARIO}" in told.getvalue()
    assert "doubled: event x: 2 times" in told.getvalue()
    assert "2 of 3 runs, 5 faults" in told.getvalue()


def test_a_result_goes_to_the_parent_and_back_whole() -> None:
    result = Result(SCENARIO, injected=2, lost=["a"], doubled=["b"], stuck=["c"], replays=1)
    assert Result.parse(result.as_json()) == result
    assert json.loads(result.as_json())["stuck"] == ["c"]


def test_waiting_goes_on_while_something_moves_and_ends_when_nothing_does() -> None:
    steps = iter(range(10))
    assert wait_while_moving(lambda: next(steps) == 9, lambda: object(), seconds=0, pause=0)
    assert not wait_while_moving(lambda: False, lambda: "the same", seconds=0.02, pause=0.005)


def test_a_machine_that_stood_still_between_two_looks_is_no_run_that_is_stuck() -> None:
    times = iter([0.0, 1.0, 2.0, 300.0, 301.0, 302.0])
    silence = Silence(lambda: next(times))
    assert [silence.look(moved=moved) for moved in (False, False, False, False, True)] == [1.0, 2.0, 5.0, 6.0, 0.0]


def test_a_service_that_is_slow_for_a_while_is_asked_again() -> None:
    answers = iter([UnavailableError("busy"), UnavailableError("busy"), 7])

    def ask() -> int:
        answer = next(answers)
        if isinstance(answer, UnavailableError):
            raise answer
        return answer

    assert patiently(ask) == 7
