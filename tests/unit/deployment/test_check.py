import datetime as dt
from typing import Any

import pytest

from deployment.stages.check import judge_freshness
from etl.model_policy import Freshness

POLICY = Freshness(min_new_rows=10, min_new_labels=5, min_labels=20, min_positives=5, max_age_days=30)
NOW = dt.datetime(2026, 3, 10, 5, tzinfo=dt.UTC)
YESTERDAY = NOW - dt.timedelta(days=1)
PLENTY = {"new_rows": 100, "new_labels": 50, "labels": 200, "positives": 80, "negatives": 120}


def judge(last: dt.datetime | None = YESTERDAY, *, force: bool = False, **found: Any) -> tuple[bool, str]:
    verdict = judge_freshness(POLICY, {**PLENTY, **found}, as_of=NOW, last_trained=last, force=force)
    return verdict.train, verdict.reason


def test_enough_that_is_new_is_worth_a_run() -> None:
    assert judge() == (True, "100 new rows and 50 new labels since 2026-03-09 05:00 UTC")


def test_nothing_new_is_skipped_with_the_counts() -> None:
    train, reason = judge(new_rows=0, new_labels=0)
    assert not train
    assert "0 new rows (of 10) and 0 new labels (of 5) since 2026-03-09 05:00 UTC" in reason


@pytest.mark.parametrize(("new_rows", "new_labels"), [(9, 50), (100, 4)])
def test_too_little_of_either_is_skipped(new_rows: int, new_labels: int) -> None:
    assert not judge(new_rows=new_rows, new_labels=new_labels)[0]


def test_the_first_run_needs_labels_but_nothing_new() -> None:
    assert judge(None, new_rows=0, new_labels=0) == (True, "no model was trained yet, and there are 200 labels")


def test_too_few_labels_stop_even_a_forced_run() -> None:
    train, reason = judge(None, force=True, labels=19)
    assert not train
    assert "too few labels: 19 of the 20" in reason


@pytest.mark.parametrize("found", [{"positives": 4}, {"negatives": 0}])
def test_labels_of_one_kind_are_told(found: dict[str, int]) -> None:
    train, reason = judge(**found)
    assert not train
    assert "labels of one kind only" in reason


def test_force_trains_though_nothing_is_new() -> None:
    assert judge(force=True, new_rows=0, new_labels=0)[0]


def test_a_champion_past_its_age_is_trained_anew_with_the_little_there_is() -> None:
    old = NOW - dt.timedelta(days=31)
    assert judge(old, new_rows=1, new_labels=0) == (True, "the last training is 31 days old, past max_age_days 30")
    assert not judge(old, new_rows=0, new_labels=0)[0]


def test_counts_that_are_null_are_none() -> None:
    assert not judge(new_rows=None, new_labels=None)[0]


def test_a_label_that_is_a_number_has_no_kinds_that_could_be_missing() -> None:
    numbers = {key: value for key, value in PLENTY.items() if key not in {"positives", "negatives"}}
    verdict = judge_freshness(POLICY, numbers, as_of=NOW, last_trained=None, force=False)
    assert verdict.train
