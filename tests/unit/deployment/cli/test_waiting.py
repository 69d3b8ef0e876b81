"""Waiting for a run tells of all of its stages, the last one too, and of its end, not of how it stood when asked to go on."""

from __future__ import annotations

import datetime as dt
import io
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.console import Console

from deployment.application import Application
from deployment.cli import waiting
from deployment.cli.session import OPTIONS
from deployment.cli.waiting import wait_for_run
from etl.ledger import Event

NOW = dt.datetime(2026, 5, 1, tzinfo=dt.UTC)


class LedgerThatGrows:
    """Each look at it finds one more event; the state is that of the last one."""

    def __init__(self) -> None:
        self.looks = 0
        self.recorded = [
            Event("r", "train", "SUCCEEDED", 1, NOW, {"reason": "trained two"}),
            Event("r", "deploy", "SUCCEEDED", 1, NOW, {"reason": "version 2 serves"}),
        ]

    def _seen(self) -> list[Event]:
        self.looks += 1
        return self.recorded[: self.looks]

    def events(self, run_id: str) -> list[Event]:
        return self._seen()

    def read(self, name: str) -> list[dict[str, Any]]:
        ended = self._seen()[-1].details.get("reason") == "version 2 serves"
        return [{"run_id": "r", "state": "PROMOTED" if ended else "RUNNING"}]


class OneLedger:
    def __init__(self) -> None:
        self._ledger = LedgerThatGrows()

    def ledger(self, model: str) -> LedgerThatGrows:
        return self._ledger


def test_the_stage_that_ends_the_run_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deployment.cli.waiting._POLL_SECONDS", 0)
    told = io.StringIO()
    monkeypatch.setattr(OPTIONS, "errors", Console(file=told))

    row = wait_for_run(cast("Application", OneLedger()), "m", "r", timeout=30)

    assert row["state"] == "PROMOTED"
    assert "trained two" in told.getvalue()
    assert "version 2 serves" in told.getvalue()


class Books:
    """A ledger that shows one more moment of a run at each look."""

    def __init__(self, *moments: tuple[str, list[tuple[str, str]]]) -> None:
        self.moments = list(moments)

    def read(self, _query: str) -> list[dict[str, Any]]:
        return [{"run_id": "deals-1", "state": self.moments[0][0], "reason": ""}]

    def events(self, _run_id: str) -> list[Any]:
        shown = self.moments.pop(0) if len(self.moments) > 1 else self.moments[0]
        return [
            SimpleNamespace(event_id=f"{stage}/{status}", stage=stage, status=status, details={})
            for stage, status in shown[1]
        ]


BEFORE = [("train", "STARTED"), ("train", "FAILED")]
TRIED = [*BEFORE, ("train again", "STARTED")]
ENDED = [*TRIED, ("train again", "SUCCEEDED")]


def wait(books: Books, monkeypatch: pytest.MonkeyPatch, *beyond: str) -> str:
    monkeypatch.setattr(waiting, "_POLL_SECONDS", 0)
    app: Any = SimpleNamespace(ledger=lambda _model: books)
    return str(waiting.wait_for_run(app, "deals", "deals-1", beyond=beyond, timeout=5)["state"])


def test_the_failure_that_a_replay_is_about_is_not_taken_for_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    books = Books(("FAILED", BEFORE), ("FAILED", BEFORE), ("FAILED", TRIED), ("RUNNING", TRIED), ("PROMOTED", ENDED))
    assert wait(books, monkeypatch, "train/STARTED", "train/FAILED") == "PROMOTED"


def test_without_a_replay_the_first_end_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    assert wait(Books(("RUNNING", BEFORE[:1]), ("FAILED", BEFORE)), monkeypatch) == "FAILED"
