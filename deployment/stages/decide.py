"""Stage `decide`: hold the evidence against the policy and record the verdict with its reasons."""

from __future__ import annotations

from pydantic import ValidationError

from deployment.evidence import Evidence
from deployment.gate import Verdict
from deployment.gate import decide as apply_gate
from deployment.gate_policy import GatePolicy
from deployment.stages.evaluate import CHAMPION
from deployment.stages.run import Outcome, Run
from etl.errors import ConfigurationError, StateError
from etl.model_policy import ModelPolicy


def gate_policy_of(policy: ModelPolicy) -> GatePolicy:
    """The section `gate:` of a model's policy.

    Raises:
        ConfigurationError: It is wrong; the text names the key.
    """
    try:
        return GatePolicy.model_validate(policy.gate)
    except ValidationError as error:
        lines = [f"  gate.{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise ConfigurationError(f"sql/{policy.model}/model.yml is wrong:\n" + "\n".join(lines)) from error


def decide(run: Run) -> Outcome:
    """Apply the gate to what the stage `evaluate` recorded."""
    measured = run.details_of("evaluate")
    champion = measured.get("champion")
    candidates = [name for name in run.candidates if name in run.details_of("train")["candidates"]]
    try:
        evidence = Evidence.of_tables(
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
