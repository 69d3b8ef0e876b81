"""A slice of `make faults`: every kind of fault, a few of each, and the books have to be as after an undisturbed run."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tests.faults import scenarios
from tests.faults.calls import Fault
from tests.faults.report import report
from tests.faults.scenarios import Scenario
from tests.faults.suite import Lane, carry_out, measure
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
        *draw.sample(list(scenarios.kills(calls)), 2),
        *draw.sample(list(scenarios.errors(calls, draw)), 3),
        *draw.sample(list(scenarios.deliveries(draw)), 2),
        next(scenarios.starts(draw)),
    ]
    results = carry_out(lanes, chosen)
    assert all(result.survived for result in results), "\n" + report(results)
    assert sum(result.injected for result in results) >= 20


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
