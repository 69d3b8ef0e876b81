"""A challenger goes on as long as it is healthy, waits where too little is known, and goes back when it ails."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from pydantic import ValidationError

from deployment.rollout import Action, Health, RolloutPolicy, Step, next_step
from etl.settings import RolloutSettings

SINCE = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
POLICY = RolloutPolicy(steps=(10, 50, 100), hold_minutes=10, minimum_requests=20)
WELL: dict[str, Any] = {
    "requests": 1000,
    "failed_requests": 0,
    "requests_before": 1000,
    "failed_requests_before": 0,
    "challenger_requests": 100,
    "champion_requests": 900,
    "challenger_p95_ms": 20.0,
    "challenger_p95_surely_ms": 17.0,
    "champion_p95_ms": 18.0,
    "challenger_pairs": 500,
    "champion_pairs": 4500,
    "validation_pairs": 2000,
    "shift_from_champion": 0.03,
    "shift_from_validation": 0.3,
    "compared_pairs": 500,
    "disagreements": 10,
}


def decided(*, share: int = 10, minutes: float = 15, policy: RolloutPolicy = POLICY, **health: Any) -> Step:
    now = SINCE + dt.timedelta(minutes=minutes)
    return next_step(policy, Health(**{**WELL, **health}), share=share, since=SINCE, now=now)


def test_a_healthy_challenger_gets_the_next_share_until_it_has_all() -> None:
    assert (decided(share=10).action, decided(share=10).share) == (Action.ADVANCE, 50)
    assert (decided(share=50).action, decided(share=50).share) == (Action.COMPLETE, 100)
    assert "healthy at 10 %: 100 requests in 15 minutes" in decided().reasons[0]


def test_a_share_that_is_no_step_any_more_goes_to_the_next_higher_one() -> None:
    assert decided(share=25).share == 50
    assert decided(share=70).share == 100


def test_a_share_is_held_for_its_time_and_its_requests() -> None:
    assert decided(minutes=9.9).action is Action.HOLD
    assert decided(minutes=10).action is Action.ADVANCE
    assert decided(challenger_requests=19).action is Action.HOLD
    assert decided(challenger_requests=20).action is Action.ADVANCE
    both = decided(minutes=1, challenger_requests=0)
    assert both.reasons == ("10 % held for 1 of 10 minutes", "the challenger answered 0 of 20 requests")


def test_without_any_traffic_it_holds() -> None:
    now = SINCE + dt.timedelta(days=3)
    assert next_step(POLICY, Health(), share=10, since=SINCE, now=now).action is Action.HOLD


@pytest.mark.parametrize(
    ("ailment", "says"),
    [
        # 10 % of 1,000 requests are its own; 20 of them failed.
        ({"failed_requests": 20}, "20 of 1000 requests failed"),
        (
            {"challenger_p95_ms": 140.0, "challenger_p95_surely_ms": 130.0},
            "too slow: 95 % within 140 ms, surely not below 130 ms, the champion within 18 ms",
        ),
        ({"shift_from_champion": 0.26}, "0.26 away from the champion's"),
        ({"shift_from_validation": 0.61}, "0.61 away from its own on the validation rows"),
        ({"disagreements": 140}, "disagrees with the champion on 140 of 500 pairs"),
    ],
)
def test_each_ailment_sends_it_back_at_once_with_its_reason(ailment: dict[str, Any], says: str) -> None:
    step = decided(minutes=0.5, **ailment)
    assert (step.action, step.share) == (Action.ROLL_BACK, 0)
    assert len(step.reasons) == 1
    assert says in step.reasons[0]


@pytest.mark.parametrize(
    "tolerable",
    [
        # Allowed are 5 % of its 100 requests; three standard deviations of 5 are 6.7.
        {"failed_requests": 11},
        {"failed_requests": 60, "failed_requests_before": 50},
        {"challenger_p95_surely_ms": 36.0},
        {"challenger_p95_surely_ms": 110.0},
        {"champion_p95_ms": None, "challenger_p95_surely_ms": 500.0},
        # A few slow ones of few: the percentile itself is far off, and surely it is not.
        {"challenger_p95_ms": 900.0, "challenger_p95_surely_ms": 25.0},
        {"shift_from_champion": 0.25},
        {"shift_from_champion": None, "shift_from_validation": None},
        # Few pairs lie far apart by chance: 1.95 * sqrt(1/30 + 1/30) = 0.50.
        {"shift_from_champion": 0.45, "challenger_pairs": 30, "champion_pairs": 30},
        # 20 % of 500 are 100, and three standard deviations 26.8.
        {"disagreements": 126},
        {"compared_pairs": 0, "disagreements": 0},
    ],
)
def test_what_chance_or_the_policy_allows_is_no_ailment(tolerable: dict[str, Any]) -> None:
    assert decided(**tolerable).action is Action.ADVANCE


def test_failures_that_were_usual_before_are_not_the_challengers() -> None:
    assert decided(failed_requests=50, failed_requests_before=50).action is Action.ADVANCE
    assert decided(failed_requests=90, failed_requests_before=50).action is Action.ROLL_BACK


def test_errors_are_seen_even_when_no_request_of_the_challenger_got_through() -> None:
    step = decided(
        requests=400, failed_requests=40, challenger_requests=0, challenger_pairs=0, shift_from_champion=None
    )
    assert step.action is Action.ROLL_BACK


def test_a_few_early_answers_are_too_little_to_call_it_slow() -> None:
    assert decided(challenger_requests=3, challenger_p95_surely_ms=900.0).action is Action.HOLD


def test_all_ailments_are_told() -> None:
    assert len(decided(failed_requests=90, disagreements=400, shift_from_champion=0.9).reasons) == 3


@pytest.mark.parametrize("steps", [(10, 50), (50, 10, 100), (0, 100), (10, 10, 100), ()])
def test_steps_have_to_rise_to_all_of_the_traffic(steps: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError, match="steps"):
        RolloutPolicy(steps=steps, hold_minutes=0, minimum_requests=0)


def test_the_model_overrides_the_environment_key_by_key() -> None:
    settings = RolloutSettings(steps=(10, 100), hold_minutes=5, minimum_requests=50)
    policy = RolloutPolicy.of(settings, {"hold_minutes": 60, "maximum_error_share": 0.01})
    assert (policy.steps, policy.hold_minutes, policy.maximum_error_share) == ((10, 100), 60, 0.01)
    with pytest.raises(ValidationError, match="maximum_errors"):
        RolloutPolicy.of(settings, {"maximum_errors": 1})
