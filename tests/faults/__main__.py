"""`make faults`: injects faults into every stage and says what survived, what was lost, what was doubled.

Several worlds run side by side, a process each, and each carries out its part of the scenarios; one more kills whole clouds.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from tests.faults import scenarios as all_scenarios
from tests.faults.cloud_kills import CLOUD_KILLED, killed_runs
from tests.faults.google_emulator import running_emulator
from tests.faults.progress import Progress
from tests.faults.report import report
from tests.faults.scenarios import Scenario
from tests.faults.suite import Lane, Result, carry_out, measure
from tests.faults.world import World

KILLS_PER_RUN = 4
# Before a line in which a part tells its parent how many runs it has to do, and before one with the result of a run.
_PLAN, _RESULT = "plan: ", "result: "
# Of a part that broke off, so much of its last words.
_LAST_WORDS = 3000


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
        _part(arguments)
        return 0
    killed = killed_clouds(arguments)
    only_kills = arguments.scenario and len(killed) == len(arguments.scenario)
    worlds = 0 if only_kills else 1 if arguments.scenario else arguments.worlds
    parts = [*(f"{number}/{worlds}" for number in range(worlds)), *(["kills"] if killed else [])]
    folder = Path(arguments.keep or tempfile.mkdtemp(prefix="bqloop-faults-"))
    print(f"seed {arguments.seed}, {len(parts)} processes, state and logs in {folder}", flush=True)
    results, broken = _side_by_side(parts, folder)
    print(report(results))
    took = time.monotonic() - began
    print(f"{took / 60:.1f} minutes, seed {arguments.seed}, {len(parts)} processes, {broken} of them broken off")
    well = not broken and all(result.survived for result in results)
    if well and not arguments.keep:
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if well else 1


def _side_by_side(parts: list[str], folder: Path) -> tuple[list[Result], int]:
    """Run the parts as processes of their own; what they found, and how many of them ended otherwise than well."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-W", "ignore", "-m", "tests.faults", *sys.argv[1:], "--keep", str(folder)]
    logs = [folder / f"{part.replace('/', '-of-')}.log" for part in parts]
    running = [
        subprocess.Popen([*command, "--part", part], stdout=subprocess.PIPE, stderr=log.open("wb"), text=True)
        for part, log in zip(parts, logs, strict=True)
    ]
    results: list[Result] = []
    progress = Progress(sys.stdout)

    def listen(process: subprocess.Popen[str]) -> None:
        for line in process.stdout or ():
            if line.startswith(_RESULT):
                results.append(Result.parse(line.removeprefix(_RESULT)))
                progress.ended(results[-1])
            elif line.startswith(_PLAN):
                progress.planned(int(line.removeprefix(_PLAN)))
        process.wait()

    listeners = [threading.Thread(target=listen, args=(process,)) for process in running]
    for listener in listeners:
        listener.start()
    for listener in listeners:
        listener.join()
    progress.done()
    broken = [log for process, log in zip(running, logs, strict=True) if process.returncode]
    for log in broken:
        print(f"{log} ends with:\n{log.read_text(errors='replace')[-_LAST_WORDS:]}", flush=True)
    return results, len(broken)


def _hand_over(result: Result) -> None:
    print(f"{_RESULT}{result.as_json()}", flush=True)


def _part(arguments: argparse.Namespace) -> None:
    """What one process does: its share of the scenarios in a world of its own, or the killed clouds."""
    folder = Path(arguments.keep) / arguments.part.replace("/", "-of-")
    if arguments.part == "kills":
        seeds = killed_clouds(arguments)
        print(f"{_PLAN}{len(seeds)}", flush=True)
        killed_runs(folder, seeds=seeds, kills=KILLS_PER_RUN, told=_hand_over)
        return
    number, of = (int(text) for text in arguments.part.split("/"))
    with contextlib.ExitStack() as stack:
        pubsub = stack.enter_context(running_emulator()) if arguments.pubsub == "google" else arguments.pubsub
        world = World(folder, tuple(f"tiny_{n}" for n in range(arguments.lanes)), pubsub=pubsub)
        stack.enter_context(world.running())
        lanes = [Lane(world, model) for model in world.models]
        measure(lanes)
        asked = [s for s in map(Scenario.parse, arguments.scenario) if s.kind != CLOUD_KILLED]
        chosen = asked or drawn(lanes[0], arguments)[number::of]
        print(f"{_PLAN}{len(chosen)}", flush=True)
        carry_out(lanes, chosen, _hand_over, seconds=60 * arguments.minutes)


def killed_clouds(arguments: argparse.Namespace) -> list[int]:
    """A seed for each run during which the cloud is killed."""
    if arguments.scenario:
        return [s.seed for s in map(Scenario.parse, arguments.scenario) if s.kind == CLOUD_KILLED]
    if arguments.pubsub or arguments.kind not in CLOUD_KILLED:
        return []
    draw = random.Random(arguments.seed)
    return [draw.randrange(10**6) for _ in range(-(-arguments.cloud_kills // KILLS_PER_RUN))]


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
    # In no order, so that each world gets of everything, and what is left at any time is like what was done.
    return draw.sample(chosen, arguments.runs if 0 < arguments.runs < len(chosen) else len(chosen))


if __name__ == "__main__":
    sys.exit(main())
