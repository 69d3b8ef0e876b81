"""Waiting for a run tells of all of its stages, the last one too."""

from __future__ import annotations

import datetime as dt
import io
from typing import Any, cast

import pytest
from rich.console import Console

from deployment.application import Application
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
