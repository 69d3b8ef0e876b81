"""What every stage keeps to, so that a message may come twice, late, or to a function that dies half-way.

1. A stage that the ledger shows as ended announces its successor again and does nothing else.
2. It is recorded that the stage ended before the successor hears of it.
3. An error that a retry cannot mend is recorded as FAILED, and the message is done with; every other error is
   raised, so that Pub/Sub delivers again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import structlog
from deployment.stages.deploy import deploy

from deployment.publisher import Publisher
from deployment.stages.check import check
from deployment.stages.decide import decide
from deployment.stages.evaluate import evaluate
from deployment.stages.features import features
from deployment.stages.message import StageMessage
from deployment.stages.run import Outcome, Run
from deployment.stages.score import score
from deployment.stages.train import train
from etl.errors import BqloopError
from etl.ledger import Event

STAGES: Mapping[str, Callable[[Run], Outcome]] = {
    "check": check,
    "features": features,
    "train": train,
    "evaluate": evaluate,
    "decide": decide,
    "deploy": deploy,
    "score": score,
}

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
    ended = [e for e in run.events if e.stage == message.stage and e.status in {"SUCCEEDED", "SKIPPED"}]
    if ended:
        _announce(message, ended[-1], publisher)
        told.info("stage had ended before; its successor was announced again", status=ended[-1].status)
        return ended[-1]
    if any(e.stage == message.stage and e.status == "FAILED" and e.attempt >= message.attempt for e in run.events):
        told.info("stage had failed before; replay it with: bqloop runs replay " + message.run_id)
        return None
    started = time.monotonic()
    run.ledger.append(_event(message, "STARTED", {}))
    try:
        outcome = STAGES[message.stage](run)
    except BqloopError as error:
        if error.retryable:
            told.info("stage goes on at the next delivery", reason=str(error))
            raise
        return _fail(run, error, told)
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
        bytes_billed=run.usage.bytes_billed,
        slot_ms=run.usage.slot_ms,
        jobs=len(run.usage.job_ids),
    )
    return event


def record_failure(run: Run, reason: str) -> Event:
    """Record that a stage has failed for good, as a dead letter tells."""
    event = _event(run.message, "FAILED", {"reason": reason, "run_state": "FAILED"})
    run.ledger.append(event, usage=run.usage)
    return event


def _fail(run: Run, error: BqloopError, told: structlog.stdlib.BoundLogger) -> Event:
    event = record_failure(run, str(error))
    told.error(str(error), status="FAILED", error=type(error).__name__)
    return event


def _announce(message: StageMessage, event: Event, publisher: Publisher) -> None:
    following = event.details.get("next")
    if following:
        publisher.publish(message.successor(following["stage"], **following["options"]))


def _event(message: StageMessage, status: str, details: Mapping[str, object]) -> Event:
    return Event(message.run_id, message.stage, status, message.attempt, message.as_of, details)
