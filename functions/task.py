"""One stage as a task of an orchestrator, such as Airflow: no message comes in, and none goes out.

What would have been published to the next stage is handed back instead: who comes next is the orchestrator's matter. Run,
ledger and job IDs are those of the functions, so a task may be killed, tried again, or meet a function's delivery of the
same run.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

from deployment.application import Application
from deployment.stages.message import StageMessage, decode_message
from deployment.stages.protocol import message_to_stage, run_stage
from deployment.stages.rollout import rollout_message, tick
from etl.errors import StateError
from etl.settings import load_settings


class _Noted:
    """A publisher that keeps what it is given."""

    def __init__(self) -> None:
        self.messages: list[StageMessage] = []

    def publish(self, message: StageMessage) -> str:
        self.messages.append(message)
        return message.run_id


def carry_out(stage: str, model: str, as_of: str, run: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
    """Carry out one stage of one run, and wait for its end; a stage that had failed makes its next attempt.

    Args:
        stage: Which one.
        model: The model.
        as_of: The run's instant, ISO 8601 with its zone; run and instant in `run` win.
        run: What a message may hold beside: `run_id`, `as_of`, `options`.

    Returns:
        The next stage's message, as plain data; None where nothing follows.

    Raises:
        StateError: The stage failed for good, or the run was cancelled.
        RetryableError: Something is away just now; the same call goes on.
        InputError: Model, run or instant is none.
    """
    app = Application(load_settings())
    given = json.dumps({**(run or {}), "model": model, "stage": stage}).encode()
    message = decode_message(given, stage=stage, published=dt.datetime.fromisoformat(as_of))
    if stage == "rollout":
        _tick(app, model)
        return None
    events = app.ledger(model).events(message.run_id)
    if events:
        again = message_to_stage(events, stage, model=model)
        # What was asked of the run is for its first stage; a later one heeds what the stage before it said.
        asked = message.options if stage == events[0].stage else {}
        message = again.model_copy(update={"options": {**asked, **again.options}})
    handed = _Noted()
    event = run_stage(app.run(message), handed)
    if event is None or event.status == "FAILED":
        told = "it was cancelled" if event is None else event.details["reason"]
        raise StateError(f"stage {stage} of {message.run_id} did not end well: {told}")
    return handed.messages[-1].model_dump(mode="json") if handed.messages else None


def _tick(app: Application, model: str) -> None:
    message = rollout_message(app.ledger(model), model)
    if message is not None:
        tick(app.run(message), dt.datetime.now(dt.UTC))
