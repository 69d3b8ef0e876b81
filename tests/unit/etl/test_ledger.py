"""The ledger keeps each event once, and its views tell where each run stands."""

import datetime as dt
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from etl.ledger import Event, Ledger
from etl.templates import Templates
from etl.warehouse import Usage, Warehouse
from tests.unit.etl.bigquery_target import MODEL, running_warehouse, statement

AS_OF = dt.datetime(2026, 3, 1, 5, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    with running_warehouse(tmp_path_factory.mktemp("ledger")) as made:
        yield made


@pytest.fixture
def ledger(warehouse: Warehouse) -> Ledger:
    return Ledger(warehouse, Templates.from_tree(MODEL), git_sha="abc")


@pytest.fixture
def run_id() -> str:
    return f"{MODEL}-{uuid.uuid4().hex[:8]}"


def event(run_id: str, stage: str = "check", status: str = "STARTED", attempt: int = 1, **details: Any) -> Event:
    return Event(run_id, stage, status, attempt, AS_OF, details)


def row_of(ledger: Ledger, run_id: str) -> dict[str, Any]:
    (row,) = [row for row in ledger.read("recent_runs") if row["run_id"] == run_id]
    return row


def test_an_event_that_is_recorded_twice_stands_once(ledger: Ledger, warehouse: Warehouse, run_id: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: ledger.append(event(run_id, reason="x")), range(4)))
    (row,) = warehouse.read(statement(f"SELECT COUNT(*) AS n FROM bqloop_ledger.events WHERE run_id = '{run_id}'"))
    assert row["n"] == 1


def test_an_event_comes_back_as_it_was_recorded(ledger: Ledger, run_id: str) -> None:
    details = {"reason": "so", "metrics": [{"name": "tree", "f1": 0.5, "nothing": None}], "odd": "ü\n'\"\\"}
    ledger.append(event(run_id, "evaluate", "SUCCEEDED", 2, **details), usage=Usage(["job"], 10, 20))
    (found,) = ledger.events(run_id)
    assert found.details == details
    assert (found.stage, found.status, found.attempt, found.as_of) == ("evaluate", "SUCCEEDED", 2, AS_OF)
    assert found.at is not None
    assert (found.git_sha, found.sql_sha) == ("abc", Templates.from_tree(MODEL).sha), "what it takes to make it anew"


def test_a_run_stands_where_its_last_event_left_it(ledger: Ledger, run_id: str) -> None:
    ledger.append(event(run_id))
    assert row_of(ledger, run_id)["state"] == "RUNNING"
    ledger.append(event(run_id, status="SUCCEEDED", run_state="RUNNING", reason="fresh"))
    ledger.append(event(run_id, "features", "FAILED", run_state="FAILED", reason="no such column"))
    row = row_of(ledger, run_id)
    assert (row["state"], row["stage"], row["reason"]) == ("FAILED", "features", "no such column")
    ledger.append(event(run_id, "features", attempt=2))
    assert row_of(ledger, run_id)["state"] == "RUNNING", "a replay brings it back to life"


def test_a_cancelled_run_stays_cancelled_whatever_still_ends(ledger: Ledger, run_id: str) -> None:
    ledger.append(event(run_id, "train"))
    ledger.append(event(run_id, "train", "CANCELLED", run_state="CANCELLED", reason="enough"))
    ledger.append(event(run_id, "train", "SUCCEEDED", run_state="RUNNING", reason="trained"))
    assert row_of(ledger, run_id)["state"] == "CANCELLED"


def test_a_promotion_that_a_cancellation_came_too_late_for_is_told(ledger: Ledger, run_id: str) -> None:
    ledger.append(event(run_id, "deploy"))
    ledger.append(event(run_id, "deploy", "CANCELLED", run_state="CANCELLED", reason="enough"))
    ledger.append(event(run_id, "deploy", "SUCCEEDED", run_state="PROMOTED", reason="serves"))
    assert row_of(ledger, run_id)["state"] == "PROMOTED"


def test_a_turn_belongs_to_whoever_asked_first(ledger: Ledger) -> None:
    assert ledger.holder_of_turn(7, f"{MODEL}-a") == f"{MODEL}-a"
    assert ledger.holder_of_turn(7, f"{MODEL}-b") == f"{MODEL}-a"
    assert ledger.holder_of_turn(7, f"{MODEL}-a") == f"{MODEL}-a"


def test_the_last_turn_is_read_from_the_checks(ledger: Ledger, run_id: str) -> None:
    before = ledger.last_turn()
    ledger.append(event(run_id, "check", "SUCCEEDED", turn=before + 3))
    assert ledger.last_turn() == before + 3


def test_sources_are_kept_once_and_found_by_their_hash(ledger: Ledger, warehouse: Warehouse, run_id: str) -> None:
    ledger.keep_sources(run_id)
    ledger.keep_sources(f"{run_id}-2")
    sha = Templates.from_tree(MODEL).sha
    other = Ledger(warehouse, Templates(MODEL, Templates.from_tree(MODEL).sources | {"macros/new.sql": "SELECT 1"}))
    assert other.templates_of(sha).sources == Templates.from_tree(MODEL).sources
    rows = warehouse.read(statement("SELECT path, COUNT(*) AS n FROM bqloop_ledger.sources GROUP BY path"))
    assert {row["n"] for row in rows} == {1}


def test_what_a_stage_cost_is_counted_without_its_start(ledger: Ledger, run_id: str) -> None:
    started = event(run_id, "train")
    ledger.append(started)
    ledger.append(replace(started, status="SUCCEEDED"), usage=Usage(["a", "b"], 100, 200))
    (cost,) = [row for row in ledger.read("cost") if row["run_id"] == run_id]
    assert (cost["jobs"], cost["bytes_billed"], cost["slot_ms"]) == (2, 100, 200)
