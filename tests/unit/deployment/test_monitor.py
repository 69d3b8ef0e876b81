"""When what the service sees has moved far enough to ask for a retrain."""

import datetime as dt
from typing import Any

import pytest

from deployment.stages.monitor import MonitorPolicy, judge, staleness

POLICY = MonitorPolicy(minimum_pairs=100, drift_limit=0.1, score_shift_limit=0.2)


def answers(**changed: Any) -> dict[str, Any]:
    return {"pairs": 500, "pairs_before": 2_000, "score_shift": 0.05, **changed}


def feature(name: str, value: float) -> dict[str, Any]:
    return {"subject": name, "value": value, "is_anomaly": value > POLICY.drift_limit}


def test_what_has_not_moved_asks_for_nothing() -> None:
    verdict = judge(POLICY, answers(), [feature("a", 0.02)])
    assert not verdict.retrain
    assert "no drift in 500 pairs" in verdict.reason


def test_drift_past_its_limit_asks_for_a_retrain_and_names_the_features() -> None:
    verdict = judge(POLICY, answers(), [feature("price_ratio", 0.31), feature("title_edit", 0.05)])
    assert verdict.retrain
    assert verdict.reason == "1 features drifted past 0.1: price_ratio 0.31"


def test_a_shift_of_the_scores_alone_asks_for_a_retrain() -> None:
    assert judge(POLICY, answers(score_shift=0.21), []).retrain
    assert not judge(POLICY, answers(score_shift=0.2), []).retrain
    assert not judge(POLICY, answers(score_shift=None), []).retrain


@pytest.mark.parametrize("few", [{"pairs": 99}, {"pairs_before": 99}, {"pairs": None}])
def test_too_few_answers_on_either_side_tell_nothing(few: dict[str, Any]) -> None:
    verdict = judge(POLICY, answers(**few, score_shift=0.9), [feature("a", 0.9)])
    assert not verdict.retrain
    assert "too few answers" in verdict.reason


@pytest.mark.parametrize(("days", "stale"), [(0, False), (31, False), (60, False), (61, True)])
def test_a_champion_is_stale_at_twice_the_age_at_which_a_run_was_due(days: int, stale: bool) -> None:
    trained = dt.datetime(2026, 1, 1, 5, tzinfo=dt.UTC)
    told = staleness(trained, trained + dt.timedelta(days=days), max_age_days=30)
    assert bool(told) is stale
    assert f"{days} days ago" in told or not stale
