"""`make faults`: injects faults into every stage and says what survived, what was lost, what was doubled.

Several worlds run side by side, a process each, and each carries out its part of the scenarios; one more kills whole clouds.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import subprocess
import sys
import tempfile
import threading
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
# Before a line in which a part hands a result to its parent.
_RESULT = "result: "


def main() -> int:
    """Run; the exit code is 1 when anything was lost or doubled."""
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="what is drawn: calls of errors, order of messages")
    parser.add_argument("--runs", type=int, default=0, help="a sample of so many disturbed runs instead of all")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no further run after so long")
    cores = os.cpu_count() or 2
    parser.add_argument("--worlds", type=int, default=max(1, min(cores - 1, 4)), help="local clouds side by side")
    parser.add_argument("--lanes", type=int, default=2, help="models side by side in each")
    parser.add_argument("--kind", default="", help="only scenarios whose kind contains this")
    parser.add_argument("--scenario", action="append", default=[], help="one scenario, as a report names it")
    parser.add_argument("--cloud-kills", type=int, default=24, help="how often the whole cloud is killed; 0 for never")
    parser.add_argument("--pubsub", default="", help="`google` for Google's emulator, or an address")
    parser.add_argument("--keep", default="", help="keep the state in this folder")
    parser.add_argument(
        "--part", default="", help="one process of many: NUMBER/OF, or `kills` (set by the others' parent)"
    )
    arguments = parser.parse_args()
    began = time.monotonic()
    if arguments.part:
        _print_results(_part(arguments))
        return 0
    parts = [f"{number}/{arguments.worlds}" for number in range(1 if arguments.scenario else arguments.worlds)]
    if arguments.cloud_kills and not (arguments.scenario or arguments.pubsub or arguments.kind):
        parts.append("kills")
    results, broken = _side_by_side(parts)
    print(report(results))
    print(
        f"{time.monotonic() - began:.0f} s, seed {arguments.seed}, {len(parts)} processes, {broken} of them broken off"
    )
    return 0 if not broken and all(result.survived for result in results) else 1


def _side_by_side(parts: list[str]) -> tuple[list[Result], int]:
    """Run the parts as processes of their own; what they found, and how many of them ended otherwise than well."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.faults", *sys.argv[1:]]
    running = [
        subprocess.Popen([*command, "--part", part], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for part in parts
    ]
    results: list[Result] = []

    def listen(process: subprocess.Popen[str]) -> None:
        for line in process.stdout or ():
            if line.startswith(_RESULT):
                results.append(Result.parse(line.removeprefix(_RESULT)))
            elif line.strip():
                print(line, end="", flush=True)
        process.wait()

    listeners = [threading.Thread(target=listen, args=(process,)) for process in running]
    for listener in listeners:
        listener.start()
    for listener in listeners:
        listener.join()
    return results, sum(process.returncode != 0 for process in running)


def _print_results(results: list[Result]) -> None:
    for result in results:
        print(f"\n{_RESULT}{result.as_json()}", end="", flush=True)


def _part(arguments: argparse.Namespace) -> list[Result]:
    """What one process finds: its share of the scenarios in a world of its own, or the killed clouds."""
    folder = Path(arguments.keep or tempfile.mkdtemp(prefix="bqloop-faults-")) / arguments.part.replace("/", "-of-")
    if arguments.part == "kills":
        runs = -(-arguments.cloud_kills // KILLS_PER_RUN)
        killed = killed_runs(folder, runs=runs, kills=KILLS_PER_RUN, seed=arguments.seed)
        for result in killed:
            _tell(result)
        return killed
    number, of = (int(text) for text in arguments.part.split("/"))
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        pubsub = stack.enter_context(running_emulator()) if arguments.pubsub == "google" else arguments.pubsub
        world = World(folder, tuple(f"tiny_{n}" for n in range(arguments.lanes)), pubsub=pubsub)
        stack.enter_context(world.running())
        lanes = [Lane(world, model) for model in world.models]
        measure(lanes)
        chosen = [Scenario.parse(text) for text in arguments.scenario] or drawn(lanes[0], arguments)[number::of]
        told = f"{arguments.part}: {len(chosen)} disturbed runs, seed {arguments.seed}, up and measured after"
        print(f"{told} {time.monotonic() - began:.0f} s: {world.state}", flush=True)
        return carry_out(lanes, chosen, _tell, seconds=60 * arguments.minutes)


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
