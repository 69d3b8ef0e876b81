"""What a try says in one word: better, worse, or cannot tell. Pure: evidence in, answer out.

Another question than the gate's. The gate asks whether a candidate may serve (floors, slices, a margin); a try asks whether
the change of the SQL did any good at all, by the same bounds of the same paired bootstrap.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from deployment.evidence import Comparison, Evidence, improvement
from deployment.gate import Decision


class Answer(StrEnum):
    """What is known of the change."""

    BETTER = "better"
    WORSE = "worse"
    UNKNOWN = "cannot tell"


@dataclass(frozen=True)
class Judgement:
    """The answer, and what it rests on.

    Attributes:
        answer: The word.
        candidate: The best candidate by the primary metric, which the answer is about.
        metric: The primary metric.
        gain: Candidate minus champion, turned so that more is better; None where it is undefined.
        lower: Surely at least that much.
        upper: Surely at most that much.
        confidence: One-sided probability with which either bound holds.
        reason: One sentence for people.
    """

    answer: Answer
    candidate: str
    metric: str
    gain: float | None
    lower: float | None
    upper: float | None
    confidence: float | None
    reason: str


def judge(metric: str, evidence: Evidence, decision: Decision) -> Judgement:
    """Say whether the best candidate is better than the champion, worse, or neither for sure.

    Args:
        metric: The gate's primary metric.
        evidence: Candidates and champion, measured on the same rows.
        decision: What the gate makes of it; it notices where rows were not the same.
    """
    # The first of equals, as in the gate.
    best = max(
        evidence.candidates,
        key=lambda candidate: (
            improvement(metric, value) if (value := candidate.metrics.get(metric)) is not None else float("-inf")
        ),
    ).name
    unsound = [f.reason for f in decision.findings if f.candidate == best and f.rule == "same_rows"]
    found = [row for row in evidence.comparisons if (row.candidate, row.metric) == (best, metric)]
    bounds = sorted(gains_of(found[0])) if found and not unsound else []
    if not bounds:
        why = unsound[0] if unsound else f"{metric} cannot be compared on these rows"
        return Judgement(Answer.UNKNOWN, best, metric, None, None, None, None, f"{best}: {why}")
    lower, gain, upper = bounds
    if lower > 0:
        answer, why = Answer.BETTER, "so there is surely something in it"
    elif upper < 0:
        answer, why = Answer.WORSE, "so something is surely lost"
    else:
        answer, why = Answer.UNKNOWN, "so there may be nothing in it"
    reason = f"{best}: {metric} {gain:+.4f} against the champion, between {lower:+.4f} and {upper:+.4f}, {why}"
    return Judgement(answer, best, metric, gain, lower, upper, found[0].confidence, reason)


def _worth(metric: str, value: float | None) -> float:
    return -math.inf if value is None else improvement(metric, value)


def gains_of(row: Comparison) -> list[float]:
    """Difference and both bounds of a comparison, turned so that more is better; nothing where one is undefined."""
    found = [value for value in (row.lower, row.difference, row.upper) if value is not None]
    return [improvement(row.metric, value) for value in found] if len(found) == 3 else []
