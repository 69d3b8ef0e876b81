"""Copies of what tables held are kept as long as time travel may ask for them, and no longer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bigquery_world import PROJECT
from google.api_core.exceptions import GoogleAPICallError
from google.cloud import bigquery

from infra.local.bigquery import BigQueryServer
from infra.local.bigquery.time_travel import LOG, SET_ASIDE, TimeTravel

NOW = datetime.now(UTC)


class Clock:
    """The time of the copies, set by hand."""

    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> datetime:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def history(server: BigQueryServer, client: bigquery.Client, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Any:
    found: Any = server._running.context.snapshots
    assert isinstance(found, TimeTravel)
    monkeypatch.setattr(found, "_clock", clock)
    return found


def test_a_table_that_is_replaced_each_day_has_a_copy_for_each_day_of_the_window_and_no_more(
    history: Any, rows: Callable[..., Any], clock: Clock
) -> None:
    counts = []
    for day in range(20):
        clock.at = NOW + timedelta(days=day)
        rows(f"CREATE OR REPLACE TABLE d.daily AS SELECT {day} AS day")
        history.purge_expired()
        counts.append(len(history._copies()))
    assert counts[-1] == counts[-5] == 7
    told = [history.state_at(PROJECT, "d", "daily", clock.at - timedelta(days=n)) for n in range(1, 8)]
    assert len({copy for copy, _ in told}) == 7, "every day of the window can still be asked for"


def test_the_state_with_which_the_window_began_is_kept_however_old_it_is(
    history: Any, rows: Callable[..., Any], clock: Clock
) -> None:
    rows("CREATE OR REPLACE TABLE d.still AS SELECT 1 AS a")
    clock.at = NOW + timedelta(days=30)
    rows("CREATE OR REPLACE TABLE d.still AS SELECT 2 AS a")
    history.purge_expired()
    then = (clock.at - timedelta(days=3)).isoformat()
    assert rows(f"SELECT a FROM d.still FOR SYSTEM_TIME AS OF TIMESTAMP '{then}'") == [(1,)]


def test_the_states_of_a_log_that_is_appended_to_do_not_pile_up(
    history: Any, rows: Callable[..., Any], clock: Clock
) -> None:
    rows("CREATE OR REPLACE TABLE d.log (a INT64)")
    for day in range(12):
        clock.at = NOW + timedelta(days=day)
        rows(f"INSERT INTO d.log VALUES ({day})")
    history.purge_expired()
    ((states,),) = history._engine.rows(f"SELECT count(*) FROM {LOG} WHERE name = 'log'")
    assert states == 8
    assert history.state_at(PROJECT, "d", "log", clock.at - timedelta(days=2)) == ((PROJECT, "d", "log"), 10)


def test_a_table_that_is_replaced_is_set_aside_and_not_copied(
    history: Any, rows: Callable[..., Any], clock: Clock
) -> None:
    rows("CREATE OR REPLACE TABLE d.aside AS SELECT 1 AS a")
    clock.at = NOW + timedelta(minutes=2)
    rows("CREATE OR REPLACE TABLE d.aside AS SELECT 2 AS a")
    ((copy,),) = history._engine.rows(f"SELECT DISTINCT copy FROM {LOG} WHERE name = 'aside' AND copy IS NOT NULL")
    assert copy.startswith(SET_ASIDE)
    before = (NOW + timedelta(minutes=1)).isoformat()
    assert rows(f"SELECT a FROM d.aside FOR SYSTEM_TIME AS OF TIMESTAMP '{before}'") == [(1,)]
    # One that reads what it replaces, by itself or through a view, finds it there.
    rows("CREATE OR REPLACE TABLE d.aside AS SELECT a + 1 AS a FROM d.aside")
    rows("CREATE OR REPLACE VIEW d.over_aside AS SELECT a FROM d.aside")
    rows("CREATE OR REPLACE TABLE d.aside AS SELECT a + 1 AS a FROM d.over_aside")
    assert rows("SELECT a FROM d.aside") == [(4,)]
    rows("DROP TABLE d.aside")
    left = history._engine.rows("SELECT table_name FROM duckdb_tables() WHERE table_name = ?", [copy])
    assert left == [], "what was set aside goes with the table"


def test_a_replacement_that_fails_leaves_the_table_as_it_was(rows: Callable[..., Any]) -> None:
    rows("CREATE OR REPLACE TABLE d.failing AS SELECT 1 AS a")
    with pytest.raises(GoogleAPICallError):
        rows("CREATE OR REPLACE TABLE d.failing AS SELECT ERROR('no') AS a")
    assert rows("SELECT a FROM d.failing") == [(1,)]
