"""From a Pub/Sub CloudEvent to a stage, and back to an acknowledgement."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
from functools import cache
from typing import Any

import structlog
from cloudevents.http import CloudEvent
from google.cloud.pubsub_v1 import PublisherClient

from deployment.application import Application
from deployment.stages.message import decode_message
from deployment.stages.protocol import run_stage
from deployment.stages.rollout import record_refusal, rollout_message, tick
from etl.errors import BqloopError, InputError
from etl.settings import load_settings
from etl.warehouse import Deadline

# What is kept of a function's timeout for recording and publishing once the waiting is over.
_RESERVE_SECONDS = 30.0

log = structlog.get_logger(__name__)


@cache
def application() -> Application:
    """bqloop in the environment of this function, made once an instance."""
    return Application(load_settings())


def handle(stage: str, event: CloudEvent) -> None:
    """Carry out one delivery of a message to `stage`.

    Raises:
        RetryableError: The message must be delivered again.
    """
    app = application()
    try:
        message = decode_message(payload(event), stage=stage, published=published_at(event))
        run = app.run(message, deadline=_deadline(app, stage))
    except InputError as error:
        _dead_letter(app, stage, event, str(error))
        return
    run_stage(run, app.publisher)


def handle_rollout(event: CloudEvent) -> None:
    """Carry out one tick of the rollout of a model; without a challenger on its way there is nothing to do.

    A tick that Vertex AI or BigQuery refuses for good is recorded, told to whoever is on call, and acknowledged: the next
    one comes soon, and tries again.

    Raises:
        RetryableError: The message must be delivered again.
    """
    app = application()
    try:
        asked = decode_message(payload(event), stage="rollout", published=published_at(event))
        message = rollout_message(app.ledger(asked.model), asked.model)
    except InputError as error:
        _dead_letter(app, "rollout", event, str(error))
        return
    if message is None:
        return
    run = app.run(message, deadline=_deadline(app, "rollout"))
    try:
        tick(run, dt.datetime.now(dt.UTC))
    except BqloopError as error:
        if error.retryable:
            raise
        told = log.bind(run_id=message.run_id, stage="rollout", model=message.model, status="FAILED")
        if record_refusal(run, str(error)) is not None:
            # Terraform's log-based metric counts lines with this field; no stage will carry this message out either.
            told = told.bind(alert="dead_letter")
        told.error(str(error))


def payload(event: CloudEvent) -> bytes:
    """The message's data.

    Raises:
        InputError: The event holds no Pub/Sub message.
    """
    try:
        return base64.b64decode(_message(event).get("data") or "", validate=True)
    except binascii.Error as error:
        raise InputError(f"message.data is not base64: {error}") from error


def attributes(event: CloudEvent) -> dict[str, str]:
    """The message's attributes."""
    return dict(_message(event).get("attributes") or {})


def published_at(event: CloudEvent) -> dt.datetime:
    """When the message was published, UTC: the same at every delivery."""
    told = _message(event).get("publishTime") or _message(event).get("publish_time")
    if not told:
        raise InputError("message.publishTime is missing")
    return dt.datetime.fromisoformat(str(told)).astimezone(dt.UTC)


def message_id(event: CloudEvent) -> str:
    """The message's ID: the same at every delivery."""
    return str(_message(event).get("messageId") or _message(event).get("message_id") or event["id"])


def _message(event: CloudEvent) -> dict[str, Any]:
    data = event.data
    message = data.get("message") if isinstance(data, dict) else None
    if not isinstance(message, dict):
        raise InputError("the event holds no Pub/Sub message")
    return message


def _deadline(app: Application, stage: str) -> Deadline:
    timeout = app.settings.functions[stage].timeout_seconds
    return Deadline.after(max(timeout - _RESERVE_SECONDS, timeout / 2))


def _dead_letter(app: Application, stage: str, event: CloudEvent, reason: str) -> None:
    """Hand a message that cannot be read to the dead letters at once: no retry would mend it."""
    log.error(reason, stage=stage, status="DEAD_LETTER")
    topic = app.settings.topic_path(app.settings.delivery.dead_letter_topic)
    raw = _message(event).get("data") or ""
    _dead_letter_client().publish(
        topic,
        str(raw).encode(),
        encoding="base64-text",
        stage=stage,
        reason=reason[:1024],
        message_id=message_id(event),
    ).result(timeout=60)


@cache
def _dead_letter_client() -> PublisherClient:
    return PublisherClient()
