"""A person's word on a run that the gate holds: approve or reject.

It is recorded as a further decision of the run, beside the gate's own, with who said so and why.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from deployment.gate import Verdict
from deployment.publisher import Publisher
from deployment.stages.run import Run
from deployment.stages.turn import goes_on
from etl.errors import StateError
from etl.ledger import Event

STAGE = "decide"


def held_run(rows: Sequence[dict[str, object]], run_id: str = "") -> str:
    """The run that waits for a person's word.

    Args:
        rows: Rows of the ledger's `recent_runs`, newest first.
        run_id: The run that the person names; "" for the newest that is held.

    Raises:
        StateError: None is held, or the named one is not.
    """
    held = [str(row["run_id"]) for row in rows if row["state"] == "HELD"]
    if run_id and run_id not in held:
        states = {str(row["run_id"]): row["state"] for row in rows}
        raise StateError(
            f"{run_id} is not held: {states.get(run_id, 'there is no such run')}. Held: {', '.join(held) or 'none'}"
        )
    if not held:
        raise StateError("no run waits for approval; see `bqloop status`")
    return run_id or held[0]


def approve(run: Run, publisher: Publisher, *, by: str, reason: str) -> Event:
    """Let the run's winner be deployed.

    Raises:
        StateError: The gate left no winner, or another run of the model goes on: two challengers would be on their way.
    """
    now, stale_hours = dt.datetime.now(dt.UTC), run.policy.concurrency.stale_hours
    for row in run.ledger.read("recent_runs"):
        if row["run_id"] != run.message.run_id and goes_on(row, now=now, stale_hours=stale_hours):
            end = "rollback" if row["state"] == "CANARY" else f"runs cancel {row['run_id']}"
            raise StateError(
                f"{row['run_id']} goes on ({row['state']}, stage {row['stage']}), and one run of a model goes on at a time. "
                f"Approve {run.message.run_id} when it has ended, or end it with: bqloop {end}"
            )
    event = _record(run, Verdict.PROMOTE, by=by, reason=reason, state="RUNNING", following="deploy")
    publisher.publish(run.message.successor("deploy"))
    return event


def reject(run: Run, *, by: str, reason: str) -> Event:
    """End the run; the champion goes on serving."""
    return _record(run, Verdict.REJECT, by=by, reason=reason, state="REJECTED", following=None)


def _record(run: Run, verdict: Verdict, *, by: str, reason: str, state: str, following: str | None) -> Event:
    decided = run.details_of(STAGE)
    decision = dict(decided.get("decision") or {})
    if not decision.get("winner"):
        raise StateError(f"{run.message.run_id} has no winner to {'approve' if following else 'reject'}")
    told = f"{'approved' if following else 'rejected'} by {by}: {reason}"
    attempt = 1 + max(event.attempt for event in run.events if event.stage == STAGE)
    details = {
        **decided,
        "decision": {**decision, "verdict": verdict.value, "reasons": [told, *decision["reasons"]]},
        "reason": told,
        "run_state": state,
        "next": {"stage": following, "options": {}} if following else None,
    }
    event = Event(run.message.run_id, STAGE, "SUCCEEDED", attempt, run.message.as_of, details)
    run.ledger.append(event)
    return event
