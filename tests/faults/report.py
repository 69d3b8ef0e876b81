"""The report: by kind of fault how many were injected, survived, lost something, doubled something."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from tests.faults.suite import Result

_WIDTH = 400


@dataclass
class Line:
    """One line of the report."""

    runs: int = 0
    injected: int = 0
    survived: int = 0
    lost: int = 0
    doubled: int = 0
    stuck: int = 0
    replays: int = 0

    def add(self, result: Result) -> None:
        """Count a result. The faults of a run that lost something all count as not survived."""
        self.runs += 1
        self.injected += result.injected
        self.survived += result.injected if result.survived else 0
        self.lost += len(result.lost)
        self.doubled += len(result.doubled)
        self.stuck += len(result.stuck)
        self.replays += result.replays


def report(results: Sequence[Result]) -> str:
    """The report as text; ends with what went wrong and how to see it again."""
    lines: dict[str, Line] = {}
    total = Line()
    for result in sorted(results, key=lambda r: r.scenario.kind):
        lines.setdefault(result.scenario.kind, Line()).add(result)
        total.add(result)
    head = f"{'runs':>6}{'injected':>10}{'survived':>10}{'lost':>6}{'doubled':>9}{'stuck':>7}{'replayed':>10}"
    shown = [f"{'fault':<38}{head}"]
    for kind, line in [*lines.items(), ("all", total)]:
        shown.append(
            f"{kind:<38}{line.runs:>6}{line.injected:>10}{line.survived:>10}{line.lost:>6}{line.doubled:>9}"
            f"{line.stuck:>7}{line.replays:>10}"
        )
    for result in results:
        if not result.survived:
            # In the shell's double quotes, because a scenario has words such as `kill-before` in JSON's own.
            shown += ["", f"make faults ARGS='--scenario {json.dumps(str(result.scenario))}'"]
            shown += [f"  {text}"[:_WIDTH] for text in result.wrong]
    ended = f"{total.lost} lost, {total.doubled} doubled, {total.stuck} stuck"
    shown += ["", f"{total.injected:,} faults injected in {total.runs:,} runs, {total.survived:,} survived: {ended}"]
    return "\n".join(shown)
