"""Stage `decide`: hold the evidence against the policy and record the verdict with its reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from deployment.evidence import Evidence
from deployment.gate import Verdict
from deployment.gate import decide as apply_gate
from deployment.gate_policy import gate_policy_of
from deployment.stages.evaluate import CHAMPION
from deployment.stages.run import Outcome, Run
from etl.errors import StateError


def evidence_of(measured: Mapping[str, Any], candidates: Sequence[str], *, champion: bool) -> Evidence:
    """What the gate looks at, from what the stage `evaluate` measured.

    Args:
        measured: Rows of the tables `metrics`, `comparison` and `slices`.
        candidates: Those that were trained, in the order that breaks ties.
        champion: Whether a champion was measured beside them.

    Raises:
        StateError: One of them was not measured.
    """
    try:
        return Evidence.of_tables(
            metrics=[
                {k: v for k, v in row.items() if k != "split"}
                for row in measured["metrics"]
                if row["split"] == "validation"
            ],
            comparisons=measured.get("comparison", []),
            slices=measured.get("slices", []),
            candidates=candidates,
            champion=CHAMPION if champion else None,
        )
    except LookupError as error:
        raise StateError(str(error)) from error


def decide(run: Run) -> Outcome:
    """Apply the gate to what the stage `evaluate` recorded."""
    measured = run.details_of("evaluate")
    champion = measured.get("champion")
    candidates = [name for name in run.candidates if name in run.details_of("train")["candidates"]]
    evidence = evidence_of(measured, candidates, champion=bool(champion))
    decision = apply_gate(gate_policy_of(run.policy), evidence)
    details = {
        "decision": decision.model_dump(mode="json"),
        "evidence": evidence.model_dump(mode="json"),
        "champion": champion["version"] if champion else None,
    }
    reason = "; ".join(decision.reasons)
    if decision.verdict is Verdict.PROMOTE:
        return Outcome(reason, next_stage="deploy", details=details)
    state = "HELD" if decision.verdict is Verdict.HOLD else "REJECTED"
    return Outcome(reason, state, details=details)
