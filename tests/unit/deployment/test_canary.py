"""What a run's events tell of its challenger: ticks may come two at a time, and the later one must see what the first did."""

import datetime as dt

import pytest

from deployment.stages.rollout import canary_of
from etl.errors import StateError
from etl.ledger import Event

AT = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)


def event(state: str, share: int, status: str = "SUCCEEDED", attempt: int = 1) -> Event:
    production = {
        "version": "2",
        "previous_version": "1",
        "share": share,
        "threshold": 0.5,
        "bigquery_model": "p.d.m",
    }
    details = {"run_state": state, "production": production}
    return Event("deals-2026-03-01", "rollout", status, attempt, AT, details, at=AT)


def test_the_challenger_has_the_share_of_its_last_step() -> None:
    assert canary_of([event("CANARY", 20), event("CANARY", 60, attempt=2)]).share == 60


@pytest.mark.parametrize("state", ["PROMOTED", "ROLLED_BACK"])
def test_a_challenger_that_has_arrived_or_gone_back_is_none(state: str) -> None:
    with pytest.raises(StateError, match="nothing to roll out"):
        canary_of([event("CANARY", 60), event(state, 100, attempt=2)])
