"""How a challenger comes to serve: share by share, as long as it is healthy, and back at once when it is not.

Pure functions from policy and measured health to the next step. The stage `rollout` measures (monitor/rollout_health.sql,
monitor/shadow.sql) and acts; this module decides, and says why.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator
from enum import StrEnum
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from etl.settings import RolloutSettings


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RolloutPolicy(_Frozen):
    """The environment's section `rollout`, overridden key by key by that of `model.yml`.

    Attributes:
        steps: Shares of traffic in percent, rising, the last one 100.
        hold_minutes: How long a share is held at least.
        minimum_requests: How many requests the challenger has to answer before its health counts.
        maximum_error_share: Of the challenger's requests, failures beyond what failed before it came.
        maximum_latency_ratio: Its 95th percentile, as far as it is sure, against the champion's ...
        tolerated_latency_ms: ... where it is at least that much slower, milliseconds.
        maximum_shift_from_champion: Distance of its scores from the champion's in the same time, 0 to 1.
        maximum_shift_from_validation: The same from its own scores on the validation rows, which hold another mix.
        maximum_disagreement: Share of its answers that the champion would have given otherwise.
        smoke_tolerance: How far a probability from the endpoint may be from that of ML.PREDICT.
    """

    steps: tuple[int, ...] = Field(min_length=1)
    hold_minutes: float = Field(ge=0)
    minimum_requests: int = Field(ge=0)
    maximum_error_share: float = Field(default=0.05, ge=0, le=1)
    maximum_latency_ratio: float = Field(default=2.0, gt=1)
    tolerated_latency_ms: float = Field(default=100.0, ge=0)
    maximum_shift_from_champion: float = Field(default=0.25, gt=0, le=1)
    maximum_shift_from_validation: float = Field(default=0.6, gt=0, le=1)
    maximum_disagreement: float = Field(default=0.2, gt=0, le=1)
    smoke_tolerance: float = Field(default=1e-6, gt=0)

    @model_validator(mode="after")
    def _rising_to_all(self) -> Self:
        if list(self.steps) != sorted(set(self.steps)) or self.steps[0] < 1 or self.steps[-1] != 100:
            raise ValueError(f"steps must rise from 1 or more to 100, not {list(self.steps)}")
        return self

    @classmethod
    def of(cls, settings: RolloutSettings, overrides: dict[str, Any]) -> RolloutPolicy:
        """The policy of one model in one environment.

        Raises:
            pydantic.ValidationError: A key is unknown or wrong; it names the key.
        """
        return cls.model_validate({**settings.model_dump(), **overrides})


class Health(_Frozen):
    """What was measured since the challenger got its share; see monitor/rollout_health.sql and monitor/shadow.sql."""

    requests: int = 0
    failed_requests: int = 0
    requests_before: int = 0
    failed_requests_before: int = 0
    challenger_requests: int = 0
    champion_requests: int = 0
    challenger_p95_ms: float | None = None
    challenger_p95_surely_ms: float | None = None
    champion_p95_ms: float | None = None
    challenger_pairs: int = 0
    champion_pairs: int = 0
    validation_pairs: int = 0
    shift_from_champion: float | None = None
    shift_from_validation: float | None = None
    compared_pairs: int = 0
    disagreements: int = 0


class Action(StrEnum):
    """What to do with the challenger now."""

    HOLD = "hold"
    ADVANCE = "advance"
    COMPLETE = "complete"
    ROLL_BACK = "roll_back"


class Step(_Frozen):
    """The next step: which share the challenger gets, and why."""

    action: Action
    share: int
    reasons: tuple[str, ...]


def next_step(policy: RolloutPolicy, health: Health, *, share: int, since: dt.datetime, now: dt.datetime) -> Step:
    """Decide about a challenger that has had `share` percent of the traffic since `since`.

    A challenger that is unhealthy goes back at once; one that is healthy waits for the time and the requests that the
    policy asks for. Too few requests are no health: it holds.
    """
    ailments = tuple(_ailments(policy, health, share))
    if ailments:
        return Step(action=Action.ROLL_BACK, share=0, reasons=ailments)
    waiting = []
    held = (now - since) / dt.timedelta(minutes=1)
    if held < policy.hold_minutes:
        waiting.append(f"{share} % held for {held:.0f} of {policy.hold_minutes:g} minutes")
    if health.challenger_requests < policy.minimum_requests:
        waiting.append(f"the challenger answered {health.challenger_requests} of {policy.minimum_requests} requests")
    if waiting:
        return Step(action=Action.HOLD, share=share, reasons=tuple(waiting))
    well = (
        f"healthy at {share} %: {health.challenger_requests} requests in {held:.0f} minutes, "
        f"{health.failed_requests} of all {health.requests} failed"
    )
    share = next((step for step in policy.steps if step > share), 100)
    action = Action.COMPLETE if share == 100 else Action.ADVANCE
    return Step(action=action, share=share, reasons=(well,))


def _ailments(policy: RolloutPolicy, health: Health, share: int) -> Iterator[str]:
    yield from _failures(policy, health, share)
    if health.challenger_requests < max(policy.minimum_requests, 1):
        return
    surely, usual = health.challenger_p95_surely_ms, health.champion_p95_ms
    if (
        surely is not None
        and usual is not None
        and surely > policy.maximum_latency_ratio * usual
        and surely - usual > policy.tolerated_latency_ms
    ):
        slow = health.challenger_p95_ms or surely
        yield (
            f"too slow: 95 % within {slow:.0f} ms, surely not below {surely:.0f} ms, the champion within {usual:.0f} ms; "
            f"at most {policy.maximum_latency_ratio:g} times that is allowed"
        )
    for what, shift, others, most in (
        ("the champion's", health.shift_from_champion, health.champion_pairs, policy.maximum_shift_from_champion),
        (
            "its own on the validation rows",
            health.shift_from_validation,
            health.validation_pairs,
            policy.maximum_shift_from_validation,
        ),
    ):
        if shift is not None and shift > max(most, _shift_by_chance(health.challenger_pairs, others)):
            yield f"its scores lie {shift:.2f} away from {what}; at most {most:g} is allowed"
    yield from contradictions(policy, health.compared_pairs, health.disagreements)


def contradictions(policy: RolloutPolicy, compared: int, disagreements: int) -> Iterator[str]:
    """What there is to say where a challenger answers otherwise than the champion, to the same pairs, too often."""
    if compared and disagreements > _by_chance(policy.maximum_disagreement, compared):
        yield (
            f"it disagrees with the champion on {disagreements} of {compared} pairs; "
            f"at most {policy.maximum_disagreement:.0%} is allowed"
        )


def _failures(policy: RolloutPolicy, health: Health, share: int) -> Iterator[str]:
    """Failures beyond those that came before it, held against the requests that its share lets expect."""
    usual = health.failed_requests_before / health.requests_before if health.requests_before else 0.0
    asked = health.requests * share / 100
    expected = usual * health.requests
    allowed = expected + policy.maximum_error_share * asked
    # Three standard deviations of a count: a handful of failures among few requests is chance.
    if health.failed_requests > allowed + 3 * math.sqrt(max(allowed, 1.0)):
        yield (
            f"{health.failed_requests} of {health.requests} requests failed, where {expected:.0f} were usual; with "
            f"{share} % of the traffic that is {min((health.failed_requests - expected) / asked, 1.0):.0%} of its requests, "
            f"at most {policy.maximum_error_share:.0%} is allowed"
        )


def _by_chance(share: float, count: int) -> float:
    """How many of `count` may be so when `share` is the true share: three standard deviations above it."""
    return share * count + 3 * math.sqrt(share * (1 - share) * count)


def _shift_by_chance(one: int, two: int) -> float:
    """The Kolmogorov-Smirnov distance that two samples of one distribution exceed once in a thousand times.

    1.95 is the critical value at 0.001 for large samples.
    """
    return 1.95 * math.sqrt(1 / one + 1 / two) if one and two else 1.0
