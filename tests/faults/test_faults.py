"""A slice of `make faults`: every kind of fault, a few of each, and the books have to be as after an undisturbed run."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import scenarios
from tests.faults.calls import Fault
from tests.faults.cloud_kills import killed_runs
from tests.faults.google_emulator import launcher, running_emulator
from tests.faults.report import report
from tests.faults.scenarios import Scenario
from tests.faults.suite import Lane, Result, carry_out, measure
from tests.faults.world import World

SEED = 20261121


@pytest.fixture(scope="module")
def lanes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Lane]]:
    world = World(tmp_path_factory.mktemp("faults"), ("tiny_a", "tiny_b"))
    with world.running():
        made = [Lane(world, model) for model in world.models]
        measure(made)
        yield made


def test_a_slice_of_all_faults_leaves_ledger_registry_and_endpoint_as_an_undisturbed_run(lanes: list[Lane]) -> None:
    draw = random.Random(SEED)
    calls = lanes[0].calls
    chosen = [
        draw.choice(list(scenarios.kills(calls))),
        *draw.sample(list(scenarios.errors(calls, draw)), 2),
        draw.choice(list(scenarios.deliveries(draw))),
        next(scenarios.starts(draw)),
    ]
    results = carry_out(lanes, chosen)
    assert all(result.survived for result in results), "\n" + report(results)
    assert sum(result.injected for result in results) > 10


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.peer
@pytest.mark.skipif(launcher() is None, reason="Google's Pub/Sub emulator is not installed")
def test_the_same_holds_over_googles_own_pubsub_emulator(tmp_path: Path) -> None:
    with running_emulator() as pubsub, World(tmp_path, ("tiny_g",), pubsub=pubsub).running() as world:
        lane = Lane(world, "tiny_g")
        lane.measure()
        draw = random.Random(SEED)
        chosen = [
            *draw.sample(list(scenarios.kills(lane.calls)), 2),
            *draw.sample(list(scenarios.errors(lane.calls, draw)), 2),
            *scenarios.deliveries(draw),
        ]
        results = carry_out([lane], chosen)
    assert all(result.survived for result in results), "\n" + report(results)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_cloud_that_is_killed_at_random_moments_loses_and_doubles_nothing(tmp_path: Path) -> None:
    results = killed_runs(tmp_path, seeds=(SEED, SEED + 1), kills=3)
    assert all(result.survived for result in results), "\n" + report(results)


def test_the_harness_itself_sees_what_is_lost_and_what_is_doubled(lanes: list[Lane]) -> None:
    lane = lanes[0]
    whole = lane.undisturbed["run"]
    one = next(iter(whole.counts))
    broken = type(whole)(dict(whole.facts), whole.counts.copy())
    broken.counts[one] = 2
    broken.facts["champion"] = []
    assert broken.doubled(whole) == [f"{one}: 2 times"]
    assert any("champion" in text for text in broken.lost(whole))
    del broken.counts[one]
    assert f"{one} is not there" in broken.lost(whole)


def test_a_scenario_is_reproduced_by_its_text() -> None:
    scenario = Scenario("errors", {"train": Fault(3, "bigquery.job.jobInternalError", True)}, deliver="twice", seed=7)
    assert Scenario.parse(str(scenario)) == scenario
    aimed = Scenario("errors", {"train": Fault(1, "bigquery.job.invalidQuery", step="strict")})
    assert Scenario.parse(str(aimed)) == aimed
    result = Result(scenario, injected=2, lost=["champion is None"], replays=1)
    assert Result.parse(result.as_json()) == result
