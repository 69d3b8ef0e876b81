"""The message that a stage gets: Pub/Sub data as JSON."""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from etl.errors import InputError

Stage = Literal["check", "features", "train", "evaluate", "decide", "deploy", "rollout", "score", "monitor"]
# Stages that are runs of their own: they do not follow from a check.
OWN_RUNS: frozenset[str] = frozenset({"score", "monitor"})


class StageMessage(BaseModel):
    """What a stage has to do.

    Attributes:
        model: The continuously trained model.
        run_id: `<model>-<as_of date>`, and for further runs of that day `-2`, `-3` …
        stage: The stage that is asked.
        as_of: The instant as of which the run sees the data, UTC.
        options: What the stage before, or the person who asked, wants to be heeded: `force`, `attempt`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(pattern=r"^[a-z][a-z0-9_]{0,40}$")
    run_id: str = Field(pattern=r"^[A-Za-z0-9_-]{1,120}$")
    stage: Stage
    as_of: AwareDatetime
    options: dict[str, Any] = {}

    @model_validator(mode="after")
    def _run_is_of_model(self) -> Self:
        if not self.run_id.startswith(f"{self.model}-"):
            raise ValueError(f"run_id {self.run_id!r} is no run of model {self.model!r}")
        return self

    @property
    def attempt(self) -> int:
        """Which try of the stage this is; a replay of a failed stage counts up."""
        return int(self.options.get("attempt", 1))

    def successor(self, stage: str, **options: Any) -> StageMessage:
        """The message to the next stage of the same run."""
        return StageMessage(
            model=self.model,
            run_id=self.run_id,
            stage=stage,
            as_of=self.as_of,
            options=options,
        )


def scheduled_run_id(model: str, stage: str, as_of: dt.datetime) -> str:
    """The run of that stage, model and (UTC) day: a second message of the same day is the same run."""
    kind = f"{stage}-" if stage in OWN_RUNS else ""
    return f"{model}-{kind}{as_of.astimezone(dt.UTC).date().isoformat()}"


def decode_message(data: bytes, *, stage: str, published: dt.datetime) -> StageMessage:
    """Read the data of a Pub/Sub message to `stage`.

    The scheduler's messages hold no more than the model; run and instant follow from when it was published, so that
    a second delivery is the same run.

    Raises:
        InputError: It is no JSON object, or a field is wrong; the text names the field.
    """
    try:
        # A first pass tells only whether there is a run; the second validates all of it.
        raw = _Loose.model_validate_json(data or b"{}").model_dump(exclude_none=True)
        as_of = raw.get("as_of") or published
        raw = {"stage": stage, "as_of": as_of, **raw}
        if "model" in raw and "run_id" not in raw:
            raw["run_id"] = scheduled_run_id(raw["model"], stage, as_of)
        message = StageMessage.model_validate(raw)
    except ValidationError as error:
        lines = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'message'}: {e['msg']}" for e in error.errors())
        raise InputError(f"the message to stage {stage} cannot be read: {lines}") from error
    if message.stage != stage:
        raise InputError(f"stage: this message is for stage {message.stage}, but it came to {stage}")
    return message


class _Loose(BaseModel):
    model_config = ConfigDict(extra="allow")
    model: str | None = None
    run_id: str | None = None
    as_of: AwareDatetime | None = None
