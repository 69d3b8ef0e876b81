"""Entry points of the Cloud Functions: decode, call, answer.

One function a stage, fed by the stage's topic; `dead_letter` takes what no stage could carry out; `service` answers HTTP.
An exception that leaves a handler makes Pub/Sub deliver again; returning is the acknowledgement.
"""

from __future__ import annotations

import functions_framework
from cloudevents.http import CloudEvent
from werkzeug.wrappers import Request, Response

from functions import dead_letters, stage_events
from functions.structured_logs import log_as_json

log_as_json()


@functions_framework.cloud_event
def check(event: CloudEvent) -> None:
    """Is a run worth it?"""
    stage_events.handle("check", event)


@functions_framework.cloud_event
def features(event: CloudEvent) -> None:
    """Build the run's tables."""
    stage_events.handle("features", event)


@functions_framework.cloud_event
def train(event: CloudEvent) -> None:
    """Train the candidates."""
    stage_events.handle("train", event)


@functions_framework.cloud_event
def evaluate(event: CloudEvent) -> None:
    """Score candidates and champion on the same rows."""
    stage_events.handle("evaluate", event)


@functions_framework.cloud_event
def decide(event: CloudEvent) -> None:
    """Apply the gate."""
    stage_events.handle("decide", event)


@functions_framework.cloud_event
def deploy(event: CloudEvent) -> None:
    """Deploy the winner beside the champion."""
    stage_events.handle("deploy", event)


@functions_framework.cloud_event
def rollout(event: CloudEvent) -> None:
    """Give a healthy challenger its next share, or roll it back."""
    stage_events.handle_rollout(event)


@functions_framework.cloud_event
def score(event: CloudEvent) -> None:
    """Batch-score what came in."""
    stage_events.handle("score", event)


@functions_framework.cloud_event
def monitor(event: CloudEvent) -> None:
    """Look for drift, skew and a stale champion."""
    stage_events.handle("monitor", event)


@functions_framework.cloud_event
def dead_letter(event: CloudEvent) -> None:
    """Record a message that no stage could carry out."""
    dead_letters.handle(event)


@functions_framework.http
def service(request: Request) -> Response:
    """Answer predictions."""
    from functions.service import routes  # DuckDB and sqlglot are for this function alone

    return routes.answer(request)
