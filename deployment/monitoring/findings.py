"""The findings of the stage `monitor`, as the ledger keeps them."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deployment.application import Application


@dataclass(frozen=True)
class Finding:
    """What was found at one time.

    Attributes:
        run_id: The run that looked.
        as_of: The instant up to which it looked.
        reason: What came of it, in words.
        champion: The version that was watched, None where there was none.
        answers: The row of monitor/answers.sql: answers, latency, score shift, live precision; empty where nothing was watched.
        drift: Features and how far they drifted from the days before, most first.
        skew: Features that are further from the training data than allowed.
        retrain: Whether a retrain was asked for.
        stale: Why the champion is stale; "" where it is not.
    """

    run_id: str
    as_of: dt.datetime
    reason: str
    champion: str | None
    answers: Mapping[str, Any]
    drift: Sequence[Mapping[str, Any]]
    skew: Sequence[Mapping[str, Any]]
    retrain: bool
    stale: str

    @property
    def live_precision(self) -> tuple[float, float, float] | None:
        """Share of the judged duplicates that people confirmed, and its interval at 95 %; None where nobody judged any."""
        names = ("live_precision", "live_precision_lower", "live_precision_upper")
        values = [self.answers.get(name) for name in names]
        if any(value is None for value in values):
            return None
        precision, lower, upper = (float(value) for value in values if value is not None)
        return precision, lower, upper

    @property
    def score_shift(self) -> float | None:
        """Greatest gap between the score distributions of these days and of those before, 0 to 1."""
        value = self.answers.get("score_shift")
        return None if value is None else float(value)

    @property
    def drifted(self) -> list[Mapping[str, Any]]:
        """The features past their limit."""
        return [row for row in self.drift if row["is_anomaly"]]


def read_findings(app: Application, model: str) -> list[Finding]:
    """The findings of a model, oldest first.

    Raises:
        UnavailableError: BigQuery cannot be reached.
    """
    return [finding_of(row) for row in reversed(app.ledger(model).read("findings"))]


def finding_of(row: Mapping[str, Any]) -> Finding:
    """A row of ledger/read/findings.sql as a finding."""
    details = json.loads(row["details"] or "{}")
    return Finding(
        run_id=row["run_id"],
        as_of=row["as_of"],
        reason=str(details.get("reason") or ""),
        champion=details.get("champion"),
        answers=details.get("answers") or {},
        drift=sorted(details.get("drift") or (), key=lambda one: -(one["value"] or 0)),
        skew=details.get("skew") or (),
        retrain=bool(details.get("retrain")),
        stale=str(details.get("stale") or ""),
    )
