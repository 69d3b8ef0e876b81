"""One run of a model at a time: runs take turns, and a turn is a job ID, which can be used once.

Of runs that are asked for in the same instant none can know by looking who was first: what one has recorded another may
not see yet. But only one of them can insert the job of the next turn; the others are told by BigQuery who has it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deployment.stages.message import OWN_RUNS
from deployment.stages.run import Run


@dataclass(frozen=True)
class Turn:
    """The turn that a run asked for.

    Attributes:
        number: 1 and up.
        taken_by: Row of `ledger.runs` of the other run that has it and still goes on; None where it is the run's own.
    """

    number: int
    taken_by: Mapping[str, Any] | None = None


def goes_on(row: Mapping[str, Any], *, now: dt.datetime, stale_hours: float) -> bool:
    """Whether a run, a row of `ledger.runs`, still goes on.

    Args:
        row: The run.
        now: The present instant.
        stale_hours: A run that nothing was heard of for that long is given up.
    """
    return (
        row["state"] in {"RUNNING", "CANARY"}
        and row["stage"] not in OWN_RUNS
        and row["changed_at"] > now - dt.timedelta(hours=stale_hours)
    )


def take_turn(run: Run) -> Turn:
    """Take the next turn of the model's runs; the same again, where an earlier delivery of the message has taken it.

    Returns:
        The run's own turn, or that of the run that it would have to wait for.
    """
    number = run.ledger.last_turn()
    while True:
        number += 1
        holder = run.ledger.holder_of_turn(number, run.message.run_id)
        if holder == run.message.run_id:
            return Turn(number)
        now, stale_hours = dt.datetime.now(dt.UTC), run.policy.concurrency.stale_hours
        for row in run.ledger.read("recent_runs"):
            if row["run_id"] == holder and goes_on(row, now=now, stale_hours=stale_hours):
                return Turn(number, taken_by=row)
