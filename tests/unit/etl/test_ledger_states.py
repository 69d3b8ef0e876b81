"""Whatever is appended in whatever order, however often and by whomever: each event stands once, and the views explain it.

The ledger, its SQL and the local BigQuery are the real ones. An append may come twice, as after an answer that was lost.
"""

from __future__ import annotations

import datetime as dt
import itertools
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from etl.ledger import Event, Ledger, Succession
from etl.templates import Templates
from tests.unit.etl.bigquery_target import MODEL, running_warehouse

AS_OF = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
STATES = {"STARTED": "RUNNING", "SUCCEEDED": "RUNNING", "SKIPPED": "SKIPPED", "FAILED": "FAILED"}
NUMBERS = itertools.count()


class LedgerStates(RuleBasedStateMachine):
    """Two runs of one model, turns and the chain of champions."""

    ledger: Ledger

    def __init__(self) -> None:
        super().__init__()
        first = next(NUMBERS)
        self.runs = [f"{MODEL}-2026-03-01-{first}-{n}" for n in (1, 2)]
        self.expected: dict[str, Event] = {}
        self.links: dict[int, str] = {}
        self.turns: dict[int, str] = {}

    @rule(
        run=st.integers(0, 1),
        stage=st.sampled_from(["check", "train", "deploy"]),
        status=st.sampled_from(sorted(STATES)),
        attempt=st.integers(1, 2),
        times=st.integers(1, 2),
    )
    def append(self, run: int, stage: str, status: str, attempt: int, times: int) -> None:
        details = {"run_state": STATES[status], "reason": f"append {len(self.expected)}"}
        event = Event(self.runs[run], stage, status, attempt, AS_OF, details)
        for _ in range(times):
            self.ledger.append(event)
        self.expected.setdefault(event.event_id, event)

    @rule(run=st.integers(0, 1), ahead=st.integers(1, 2))
    def ask_for_a_turn(self, run: int, ahead: int) -> None:
        turn = 1000 * (1 + int(self.runs[0].split("-")[-2])) + ahead
        holder = self.ledger.holder_of_turn(turn, self.runs[run])
        assert holder == self.turns.setdefault(turn, self.runs[run]), "a turn never changes hands"

    @rule(run=st.integers(0, 1), number=st.integers(1, 2))
    def claim_a_link(self, run: int, number: int) -> None:
        link = 1000 * (1 + int(self.runs[0].split("-")[-2])) + number
        self.ledger.claim_succession(Succession(link, str(run), None, self.runs[run]))
        found = self.ledger.succession(link)
        assert found is not None
        assert found.claimant == self.links.setdefault(link, self.runs[run]), "a link belongs to its first claimant"

    @precondition(lambda self: self.expected)
    @invariant()
    def each_event_stands_once_as_it_was_first_recorded(self) -> None:
        for run_id in self.runs:
            found = {event.event_id: event.details["reason"] for event in self.ledger.events(run_id)}
            assert len(found) == len(self.ledger.events(run_id))
            assert found == {e.event_id: e.details["reason"] for e in self.expected.values() if e.run_id == run_id}

    def teardown(self) -> None:
        """The view has one row a run: the state of what was recorded last."""
        rows = {row["run_id"]: row for row in self.ledger.read("recent_runs") if row["run_id"] in self.runs}
        assert set(rows) == {event.run_id for event in self.expected.values()}
        for run_id, row in rows.items():
            latest = [event for event in self.expected.values() if event.run_id == run_id][-1]
            assert (row["state"], row["stage"]) == (STATES[latest.status], latest.stage)
            assert row["reason"] == latest.details["reason"]


def test_no_order_of_appends_turns_and_claims_is_lost_doubled_or_unexplained(tmp_path: Path) -> None:
    with running_warehouse(tmp_path) as warehouse:
        LedgerStates.ledger = Ledger(warehouse, Templates.from_tree(MODEL))
        kept = settings(max_examples=8, stateful_step_count=8, deadline=None, suppress_health_check=list(HealthCheck))
        run_state_machine_as_test(LedgerStates, settings=kept)  # type: ignore[no-untyped-call]  # hypothesis has no types for it
