"""Waiting for a run that functions carry out, with progress that a person can follow."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Any

from deployment.application import Application
from deployment.cli.session import OPTIONS

# A poll is one small query.
_POLL_SECONDS = 0.5
_GOING = {"RUNNING", "CANARY"}


def wait_for_run(
    app: Application, model: str, run_id: str, *, beyond: Collection[str] = (), timeout: float = 6 * 3600
) -> dict[str, Any]:
    """Wait until the run has ended; prints each stage as it ends.

    Args:
        app: bqloop in its environment.
        model: The run's model.
        run_id: The run.
        beyond: IDs of the events that it had when it was asked to go on: the state that they left is not its end.
        timeout: Seconds.

    Returns:
        Its row of `ledger.runs`; the last one known when the time is up.
    """
    ledger = app.ledger(model)
    end = time.monotonic() + timeout
    told: set[str] = set(beyond)
    moved = not beyond
    row: dict[str, Any] = {"run_id": run_id, "state": "REQUESTED", "stage": "", "reason": "asked for"}
    with OPTIONS.errors.status(f"{run_id}: waiting for its first stage") as line:
        while time.monotonic() < end:
            # The state before the events: what it rests on is among them then, and the last stage is told, too.
            found = [r for r in ledger.read("recent_runs") if r["run_id"] == run_id]
            row = found[0] if found else row
            for event in ledger.events(run_id):
                if event.event_id in told:
                    continue
                told.add(event.event_id)
                if event.status == "STARTED":
                    line.update(f"{run_id}: {event.stage}")
                elif event.status in {"SUCCEEDED", "SKIPPED"} and event.stage != "decide":
                    OPTIONS.errors.print(
                        f"  {event.stage:<9} {event.details.get('reason', '')}", markup=False, highlight=False
                    )
            if found and moved and row["state"] not in _GOING:
                return row
            moved = moved or len(told) > len(beyond)
            time.sleep(_POLL_SECONDS)
    return row
