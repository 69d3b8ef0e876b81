"""The answer of a try, from evidence alone."""

from __future__ import annotations

import pytest

from deployment.evidence import Comparison, Evidence, ModelEvidence
from deployment.gate import decide
from deployment.gate_policy import GatePolicy
from deployment.workbench.trial_answer import Answer, Judgement, judge

ROWS = {"row_count": 900, "positives": 300, "negatives": 600, "entity_groups": 400, "rows_fingerprint": 1}


def model(name: str, value: float | None, metric: str = "average_precision", **more: int) -> ModelEvidence:
    return ModelEvidence(name=name, threshold=0.5, metrics={metric: value}, **{**ROWS, **more})


def judged(
    *candidates: ModelEvidence, bounds: dict[str, tuple[float, float, float]], metric: str = "average_precision"
) -> Judgement:
    evidence = Evidence(
        candidates=candidates,
        champion=model("champion", 0.80, metric),
        comparisons=tuple(
            Comparison(
                candidate=name, metric=metric, lower=low, difference=gain, upper=high, confidence=0.975, replicates=1000
            )
            for name, (low, gain, high) in bounds.items()
        ),
    )
    return judge(metric, evidence, decide(GatePolicy(primary=metric, slices=None), evidence))


@pytest.mark.parametrize(
    ("bounds", "answer"),
    [
        ((0.001, 0.02, 0.04), Answer.BETTER),
        ((-0.001, 0.02, 0.04), Answer.UNKNOWN),
        ((0.0, 0.0, 0.0), Answer.UNKNOWN),
        ((-0.04, -0.02, -0.001), Answer.WORSE),
    ],
)
def test_the_bounds_decide(bounds: tuple[float, float, float], answer: Answer) -> None:
    assert judged(model("tree", 0.82), bounds={"tree": bounds}).answer is answer


def test_the_answer_is_about_the_best_candidate() -> None:
    found = judged(
        model("line", 0.70),
        model("tree", 0.82),
        bounds={"line": (-0.2, -0.1, -0.05), "tree": (-0.01, 0.02, 0.05)},
    )

    assert (found.candidate, found.answer) == ("tree", Answer.UNKNOWN)


def test_less_of_a_loss_is_better() -> None:
    found = judged(model("tree", 0.70, "log_loss"), bounds={"tree": (-0.15, -0.1, -0.05)}, metric="log_loss")

    assert found.answer is Answer.BETTER
    assert (found.lower, found.gain, found.upper) == (0.05, 0.1, 0.15)


def test_of_other_rows_nothing_can_be_told() -> None:
    found = judged(model("tree", 0.95, rows_fingerprint=2), bounds={"tree": (0.1, 0.15, 0.2)})

    assert found.answer is Answer.UNKNOWN
    assert "other rows" in found.reason


def test_where_a_metric_is_undefined_nothing_can_be_told() -> None:
    found = judged(model("tree", None), bounds={})

    assert (found.answer, found.lower) == (Answer.UNKNOWN, None)
