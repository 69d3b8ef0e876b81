"""What every stage keeps to, so that a message may come twice, late, or to a function that dies half-way.

1. A stage that the ledger shows as ended announces its successor again and does nothing else, but for clearing away what
   an earlier delivery of the same message may have left when it was killed.
2. It is recorded that the stage ended before the successor hears of it.
3. An error that a retry cannot mend is recorded as FAILED, and the message is done with; every other error is
   raised, so that Pub/Sub delivers again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog

from deployment.publisher import Publisher
from deployment.stages.check import check
from deployment.stages.decide import decide
from deployment.stages.deploy import deploy, tidy
from deployment.stages.evaluate import evaluate
from deployment.stages.features import features
from deployment.stages.message import StageMessage
from deployment.stages.monitor import monitor
from deployment.stages.run import Outcome, Run
from deployment.stages.score import score
from deployment.stages.train import train
from etl.errors import BqloopError, StateError
from etl.ledger import Event

STAGES: Mapping[str, Callable[[Run], Outcome]] = {
    "check": check,
    "features": features,
    "train": train,
    "evaluate": evaluate,
    "decide": decide,
    "deploy": deploy,
    "score": score,
    "monitor": monitor,
}

# What a delivery that finds its stage ended has to clear away: it may have been killed while a twin ended the stage.
TIDIES: Mapping[str, Callable[[Run], None]] = {"deploy": tidy}

log = structlog.get_logger(__name__)


def run_stage(run: Run, publisher: Publisher) -> Event | None:
    """Carry out one message.

    Returns:
        The event that ended the stage; None where the message had nothing left to do.

    Raises:
        RetryableError: The message must be delivered again.
    """
    message = run.message
    told = log.bind(run_id=message.run_id, stage=message.stage, model=message.model, attempt=message.attempt)
    if any(e.status == "CANCELLED" for e in run.events):
        told.info("the run was cancelled")
        return None
    ended = _ended(message, run.events)
    if ended is not None:
        TIDIES.get(message.stage, _nothing_to_tidy)(run)
        _announce(message, ended, publisher)
        told.info("stage had ended before; its successor was announced again", status=ended.status)
        return ended
    if _failed(message, run.events):
        told.info("stage had failed before; replay it with: bqloop runs replay " + message.run_id)
        return None
    started = time.monotonic()
    run.ledger.append(_event(message, "STARTED", _asked(message)))
    try:
        outcome = STAGES[message.stage](run)
    except BqloopError as error:
        if error.retryable:
            told.info("stage goes on at the next delivery", reason=str(error))
            raise
        return _fail(run, error, told, publisher)
    details = {
        **outcome.details,
        "reason": outcome.reason,
        "run_state": outcome.run_state,
        "next": {"stage": outcome.next_stage, "options": dict(outcome.options)} if outcome.next_stage else None,
    }
    event = _event(message, outcome.status, details)
    run.ledger.append(event, usage=run.usage)
    _announce(message, event, publisher)
    told.info(
        outcome.reason,
        status=outcome.status,
        seconds=round(time.monotonic() - started, 3),
        rows=run.usage.rows,
        bytes_billed=run.usage.bytes_billed,
        slot_ms=run.usage.slot_ms,
        jobs=len(run.usage.job_ids),
    )
    return event


def record_failure(run: Run, reason: str) -> Event:
    """Record that a stage has failed for good, as a dead letter tells."""
    event = _event(run.message, "FAILED", {**_asked(run.message), "reason": reason, "run_state": "FAILED"})
    run.ledger.append(event, usage=run.usage)
    return event


def give_up(run: Run, reason: str) -> Event | None:
    """Record that a message was given up: its stage has failed, unless it ended before or the run was cancelled."""
    message, events = run.message, run.events
    if _ended(message, events) or _failed(message, events) or any(e.status == "CANCELLED" for e in events):
        return None
    return record_failure(run, reason)


def cancel_run(run: Run, reason: str) -> list[str]:
    """End a run for good: no stage of it does anything any more, and its jobs are cancelled.

    Returns:
        IDs of the BigQuery jobs that were cancelled.
    """
    run.ledger.append(_event(run.message, "CANCELLED", {"reason": reason, "run_state": "CANCELLED"}))
    return run.warehouse.cancel_jobs(run.message.run_id)


def check_that_it_goes_on(run_id: str, state: str) -> None:
    """Let a person end only what has not ended by itself.

    Args:
        run_id: The run.
        state: Its state in `ledger.runs`.

    Raises:
        StateError: It has ended, or its challenger has traffic, which cancelling would leave as it is for good.
    """
    if state == "CANARY":
        raise StateError(f"{run_id} has a challenger with a share of the traffic; take that back with: bqloop rollback")
    if state == "CANCELLED":
        raise StateError(f"{run_id} was cancelled before")
    if state not in {"RUNNING", "HELD", "FAILED"}:
        raise StateError(f"{run_id} has ended: {state}. There is nothing to cancel")


def message_to_replay(events: Sequence[Event], *, model: str, from_stage: str = "") -> StageMessage:
    """The message that makes a run carry on where it stopped.

    Args:
        events: The run's events, oldest first; not empty.
        model: Its model.
        from_stage: The stage to begin at. Stages that have ended stay as they are: the run carries on behind them.

    Raises:
        StateError: The run has ended, was cancelled, or has not come to that stage.
    """
    last = events[-1]
    announced = {e.details["next"]["stage"] for e in events if e.details.get("next")}
    reached = sorted({*announced, *(e.stage for e in events)})
    if from_stage and from_stage not in reached:
        raise StateError(
            f"{last.run_id} has not come to stage {from_stage!r}, so it cannot begin there; it knows: {', '.join(reached)}"
        )
    stage = from_stage or last.stage
    while (ended := _ended_stage(stage, events)) is not None:
        following = ended.details.get("next")
        if following is None:
            raise StateError(f"{last.run_id} has ended: {ended.details.get('reason')}")
        stage = following["stage"]
    return message_to_stage(events, stage, model=model)


def message_to_stage(events: Sequence[Event], stage: str, *, model: str) -> StageMessage:
    """The message with which a stage of a run is asked: for its next attempt, where it has failed before.

    Raises:
        StateError: The run was cancelled.
    """
    last = events[-1]
    if any(e.status == "CANCELLED" for e in events):
        raise StateError(f"{last.run_id} was cancelled; ask for a new run with: bqloop retrain")
    failures = max((e.attempt for e in events if e.stage == stage and e.status == "FAILED"), default=0)
    announced = [e.details["next"]["options"] for e in events if (e.details.get("next") or {}).get("stage") == stage]
    # Nobody announced a run's first stage; what it was asked stands in its own events.
    asked = [e.details["options"] for e in events if e.stage == stage and e.details.get("options")]
    options: dict[str, Any] = next(iter([*announced, *asked]), {})
    return StageMessage(
        model=model,
        run_id=last.run_id,
        stage=stage,
        as_of=last.as_of,
        options={**options, "attempt": failures + 1},
    )


def _nothing_to_tidy(_run: Run) -> None:
    """Most stages leave nothing behind but jobs and tables, which are made once."""


def _fail(run: Run, error: BqloopError, told: structlog.stdlib.BoundLogger, publisher: Publisher) -> Event:
    ended = _ended(run.message, run.ledger.events(run.message.run_id))
    if ended is not None:
        # Another delivery of the same message was faster, and this one stumbled over what that one did.
        _announce(run.message, ended, publisher)
        told.info("stage has ended in another delivery meanwhile", status=ended.status, reason=str(error))
        return ended
    event = record_failure(run, str(error))
    told.error(str(error), status="FAILED", error=type(error).__name__)
    return event


def _ended(message: StageMessage, events: Sequence[Event]) -> Event | None:
    """The event that ended the message's stage well, if there is one."""
    return _ended_stage(message.stage, events)


def _ended_stage(stage: str, events: Sequence[Event]) -> Event | None:
    found = [e for e in events if e.stage == stage and e.status in {"SUCCEEDED", "SKIPPED"}]
    return found[-1] if found else None


def _failed(message: StageMessage, events: Sequence[Event]) -> bool:
    """Whether this try of the message's stage, or a later one, has failed for good."""
    return any(e.stage == message.stage and e.status == "FAILED" and e.attempt >= message.attempt for e in events)


def _announce(message: StageMessage, event: Event, publisher: Publisher) -> None:
    following = event.details.get("next")
    if following:
        publisher.publish(message.successor(following["stage"], **following["options"]))


def _asked(message: StageMessage) -> dict[str, Any]:
    """What a replay has to ask again, beyond the stage itself."""
    options = {name: value for name, value in message.options.items() if name != "attempt"}
    return {"options": options} if options else {}


def _event(message: StageMessage, status: str, details: Mapping[str, object]) -> Event:
    return Event(message.run_id, message.stage, status, message.attempt, message.as_of, details)
