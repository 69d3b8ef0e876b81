"""What becomes of a message that no stage could carry out: the ledger has it as FAILED, and the log has a line to alert on."""

from __future__ import annotations

import datetime as dt

import structlog
from cloudevents.http import CloudEvent

from deployment.stages.message import StageMessage, decode_message
from deployment.stages.protocol import give_up
from etl.errors import InputError
from functions.stage_events import application, attributes, message_id, payload, published_at

log = structlog.get_logger(__name__)

# Set by Pub/Sub on a message that it forwards after too many deliveries.
_SOURCE = "CloudPubSubDeadLetterSourceSubscription"
_COUNT = "CloudPubSubDeadLetterSourceDeliveryCount"


def handle(event: CloudEvent) -> None:
    """Record the failure and raise the alert."""
    app = application()
    told = attributes(event)
    stage = told.get("stage") or told.get(_SOURCE, "").rsplit("/", 1)[-1].removeprefix("bqloop-") or "check"
    reason = told.get("reason") or f"given up after {told.get(_COUNT, 'too many')} deliveries; see the function's log"
    readable = True
    try:
        message = decode_message(payload(event), stage=stage, published=published_at(event))
        run = app.run(message)
    except InputError as error:
        message = _unreadable(
            app.settings.models[0], stage, published_at(event), told.get("message_id") or message_id(event)
        )
        run = app.run(message)
        reason, readable = told.get("reason") or str(error), False
    # A tick of the rollout names no run and fails none: the next one comes soon, and sees the same challenger.
    if message.stage != "rollout" or not readable:
        give_up(run, reason)
    # Terraform's log-based metric counts lines with this field.
    log.critical(reason, alert="dead_letter", run_id=message.run_id, stage=message.stage, model=message.model)


def _unreadable(model: str, stage: str, published: dt.datetime, identity: str) -> StageMessage:
    """A run of its own for a message that cannot be read, so that it is found in the ledger."""
    known = stage if stage in StageMessage.model_fields["stage"].annotation.__args__ else "check"  # type: ignore[union-attr]
    safe = "".join(c if c.isalnum() else "-" for c in identity)[:60]
    return StageMessage(model=model, run_id=f"{model}-malformed-{safe}", stage=known, as_of=published)
