"""No sequence of messages, deaths, errors, replays and cancellations brings a run where the views cannot explain it.

The stages are stand-ins that do what a drawn fault says; the protocol, the messages and the view `ledger.runs` are the real
ones. The view runs on DuckDB, translated by sqlglot.
"""

import datetime as dt
import json
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest
import sqlglot
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import sql
from deployment.stages import protocol
from deployment.stages.message import StageMessage
from deployment.stages.run import Outcome
from etl.errors import StateError, StatementError, StillRunning
from etl.ledger import Event
from etl.warehouse import Usage

AS_OF = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
STAGES = ("check", "features", "train", "evaluate", "decide", "deploy")
ENDS = {"PROMOTED", "SKIPPED", "FAILED", "CANCELLED"}
FAULTS = ("none", "dies first", "dies before the record", "dies before the news", "not ready", "wrong")


class Killed(BaseException):
    """The function's end."""


@dataclass
class Books:
    """Ledger and publisher of one run; `dies_at` is the call that kills."""

    events: list[Event] = field(default_factory=list)
    published: list[StageMessage] = field(default_factory=list)
    dies_at: str = ""

    def append(self, event: Event, *, usage: Usage | None = None) -> None:
        if self.dies_at == f"append {event.status}":
            raise Killed
        if event.event_id not in {e.event_id for e in self.events}:
            at = AS_OF + dt.timedelta(seconds=len(self.events))
            self.events.append(Event(**{**event.__dict__, "at": at}))

    def publish(self, message: StageMessage) -> str:
        if self.dies_at == "publish":
            raise Killed
        self.published.append(message)
        return ""

    def of_run(self, _run_id: str) -> list[Event]:
        return list(self.events)


class _Ledger:
    def __init__(self, books: Books) -> None:
        self.append = books.append
        self.events = books.of_run


def view_of_runs(events: list[Event]) -> dict[str, Any]:
    """The row that `sql/ledger/runs.sql` has for the run."""
    text = (sql.ROOT / "ledger" / "runs.sql").read_text().replace("{{ ledger.events }}", "events")
    select = sqlglot.parse_one(text.replace("{{ ledger.runs }}", "runs"), dialect="bigquery").expression
    with duckdb.connect() as database:
        database.execute(
            "CREATE TABLE events (event_id VARCHAR, run_id VARCHAR, model VARCHAR, stage VARCHAR, status VARCHAR, "
            "recorded_at TIMESTAMPTZ, as_of TIMESTAMPTZ, sql_sha VARCHAR, details JSON)"
        )
        database.executemany(
            "INSERT INTO events VALUES (?, ?, 'deals', ?, ?, ?, ?, '', ?)",
            [[e.event_id, e.run_id, e.stage, e.status, e.at, e.as_of, json.dumps(dict(e.details))] for e in events],
        )
        found = database.execute(select.sql("duckdb"))
        names = [column[0] for column in found.description]
        rows = found.fetchall()
    assert len(rows) == 1, "one row a run"
    return dict(zip(names, rows[0], strict=True))


class RunState(RuleBasedStateMachine):
    """One run, whose messages come in any order, any number of times."""

    @initialize()
    def ask(self) -> None:
        self.books = Books()
        first = StageMessage(model="deals", run_id="deals-2026-03-01", stage="check", as_of=AS_OF)
        self.books.published.append(first)
        self.acknowledged: set[int] = set()

    @rule(data=st.data(), fault=st.sampled_from(FAULTS))
    def deliver(self, data: st.DataObject, fault: str) -> None:
        """Any message that was ever published comes, for the first time or again."""
        number = data.draw(st.integers(0, len(self.books.published) - 1))
        self._deliver(number, fault)

    @precondition(lambda self: self._state() not in {"", "CANCELLED", "PROMOTED", "SKIPPED"})
    @rule()
    def replay(self) -> None:
        try:
            self.books.published.append(protocol.message_to_replay(self.books.events, model="deals"))
        except StateError:
            assert self._state() in ENDS

    @precondition(lambda self: self.books.events)
    @rule()
    def cancel(self) -> None:
        message = self.books.published[-1]
        warehouse = SimpleNamespace(cancel_jobs=lambda _run_id: [])
        run: Any = SimpleNamespace(message=message, ledger=_Ledger(self.books), warehouse=warehouse)
        protocol.cancel_run(run, "enough")

    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        """A message that was never acknowledged becomes a dead letter."""
        waiting = [n for n in range(len(self.books.published)) if n not in self.acknowledged]
        if not waiting:
            return
        number = data.draw(st.sampled_from(waiting))
        self.acknowledged.add(number)
        run: Any = self._run(self.books.published[number])
        protocol.give_up(run, "given up")

    @invariant()
    def each_stage_ends_well_at_most_once(self) -> None:
        ended = [e.stage for e in self._events() if e.status in {"SUCCEEDED", "SKIPPED"}]
        assert len(ended) == len(set(ended))

    @invariant()
    def nobody_hears_of_a_stage_before_the_one_before_is_recorded(self) -> None:
        recorded = {e.stage for e in self._events() if e.status == "SUCCEEDED"}
        for message in getattr(self, "books", Books()).published:
            before = STAGES.index(message.stage) - 1
            assert before < 0 or STAGES[before] in recorded

    @invariant()
    def the_view_explains_the_run(self) -> None:
        events = self._events()
        if not events:
            return
        row = view_of_runs(events)
        state = row["state"]
        assert state in {"RUNNING", *ENDS}
        if any(e.status == "CANCELLED" for e in events):
            assert state in {"CANCELLED", "PROMOTED", "SKIPPED"}, "a cancelled run does not go on"
        if state == "FAILED":
            assert row["reason"], "a failure says why"
        if state == "PROMOTED":
            assert any(e.stage == "deploy" and e.status == "SUCCEEDED" for e in events)
        if state == "RUNNING":
            assert row["stage_status"] in {"STARTED", "SUCCEEDED"}, (
                "somebody is at work, or the successor is on its way"
            )

    def teardown(self) -> None:
        """Once nothing goes wrong any more, a run that goes on comes to its end by redelivery alone, or by a replay."""
        if not self._events():
            return
        for _ in range(4 * len(STAGES)):
            for number in range(len(self.books.published)):
                if number not in self.acknowledged:
                    self._deliver(number, "none")
            if self._state() in ENDS - {"FAILED"}:
                return
            self.books.published.append(protocol.message_to_replay(self.books.events, model="deals"))
        raise AssertionError(f"the run is stuck: {self.books.events[-1]}")

    def _events(self) -> list[Event]:
        return self.books.events if hasattr(self, "books") else []

    def _state(self) -> str:
        return str(view_of_runs(self._events())["state"]) if self._events() else ""

    def _run(self, message: StageMessage) -> Any:
        return SimpleNamespace(
            message=message, ledger=_Ledger(self.books), usage=Usage(), events=list(self.books.events)
        )

    def _deliver(self, number: int, fault: str) -> None:
        message = self.books.published[number]
        self.books.dies_at = {"dies before the record": "append SUCCEEDED", "dies before the news": "publish"}.get(
            fault, ""
        )

        def stage(_run: Any) -> Outcome:
            if fault == "dies first":
                raise Killed
            if fault == "not ready":
                raise StillRunning("the job goes on")
            if fault == "wrong":
                raise StatementError("Unrecognized name: titel")
            place = STAGES.index(message.stage)
            if place + 1 == len(STAGES):
                return Outcome("serves", "PROMOTED")
            return Outcome("done", next_stage=STAGES[place + 1])

        run = self._run(message)
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(protocol.STAGES, message.stage, stage)  # type: ignore[arg-type]
            patch.setitem(protocol.TIDIES, message.stage, lambda _run: None)  # type: ignore[arg-type]
            try:
                protocol.run_stage(run, self.books)
            except (Killed, StillRunning):
                return
            finally:
                self.books.dies_at = ""
        self.acknowledged.add(number)


RunState.TestCase.settings = settings(
    max_examples=15, stateful_step_count=12, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
test_no_sequence_of_messages_reaches_a_state_that_the_views_cannot_explain = RunState.TestCase
