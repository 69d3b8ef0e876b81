"""A command that waits for a run tells of its end, not of how it stood when it was asked to go on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from deployment.cli import waiting


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
