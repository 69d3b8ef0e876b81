"""`make faults`: injects faults into every stage and says what survived, what was lost, what was doubled."""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.faults import scenarios as all_scenarios
from tests.faults.cloud_kills import killed_runs
from tests.faults.google_emulator import running_emulator
from tests.faults.report import report
from tests.faults.scenarios import Scenario
from tests.faults.suite import Lane, Result, carry_out, measure
from tests.faults.world import World

KILLS_PER_RUN = 4


def main() -> int:
    """Run; the exit code is 1 when anything was lost or doubled."""
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="what is drawn: calls of errors, order of messages")
    parser.add_argument("--runs", type=int, default=0, help="a sample of so many disturbed runs instead of all")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no further run after so long")
    parser.add_argument("--lanes", type=int, default=3, help="models side by side")
    parser.add_argument("--kind", default="", help="only scenarios whose kind contains this")
    parser.add_argument("--scenario", action="append", default=[], help="one scenario, as a report names it")
    parser.add_argument("--cloud-kills", type=int, default=24, help="how often the whole cloud is killed; 0 for never")
    parser.add_argument("--pubsub", default="", help="`google` for Google's emulator, or an address")
    parser.add_argument("--keep", default="", help="keep the state in this folder")
    arguments = parser.parse_args()
    folder = Path(arguments.keep or tempfile.mkdtemp(prefix="bqloop-faults-"))
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        pubsub = stack.enter_context(running_emulator()) if arguments.pubsub == "google" else arguments.pubsub
        world = World(folder, tuple(f"tiny_{n}" for n in range(arguments.lanes)), pubsub=pubsub)
        stack.enter_context(world.running())
        lanes = [Lane(world, model) for model in world.models]
        measure(lanes)
        print(f"Up and measured after {time.monotonic() - began:.0f} s: {world.state}", flush=True)
        chosen = [Scenario.parse(text) for text in arguments.scenario] or drawn(lanes[0], arguments)
        print(f"{len(chosen)} disturbed runs, seed {arguments.seed}", flush=True)
        results = carry_out(lanes, chosen, _tell, seconds=60 * arguments.minutes)
    if arguments.cloud_kills and not (arguments.scenario or arguments.pubsub):
        runs = -(-arguments.cloud_kills // KILLS_PER_RUN)
        killed = killed_runs(folder / "killed", runs=runs, kills=KILLS_PER_RUN, seed=arguments.seed)
        for result in killed:
            _tell(result)
        results += killed
    print(report(results))
    print(f"{time.monotonic() - began:.0f} s")
    return 0 if all(result.survived for result in results) else 1


def drawn(lane: Lane, arguments: argparse.Namespace) -> list[Scenario]:
    """The scenarios of a seed."""
    draw = random.Random(arguments.seed)
    chosen = [
        *all_scenarios.kills(lane.calls),
        *all_scenarios.errors(lane.calls, draw),
        *all_scenarios.failing_candidates(lane.calls),
        *all_scenarios.deliveries(draw, rounds=3),
        *all_scenarios.outages(list(lane.calls)),
        *all_scenarios.starts(draw, rounds=5),
    ]
    chosen = [scenario for scenario in chosen if arguments.kind in scenario.kind]
    return draw.sample(chosen, arguments.runs) if 0 < arguments.runs < len(chosen) else chosen


def _tell(result: Result) -> None:
    mark = "." if result.survived else "x"
    print(mark, end="" if result.survived else f" {result.scenario}\n", flush=True)
    for text in [*result.lost, *result.doubled]:
        print(f"    {text}"[:600], flush=True)


if __name__ == "__main__":
    sys.exit(main())
