"""Stage `features`: build the run's tables as of one instant."""

from __future__ import annotations

from deployment.stages.run import Outcome, Run
from deployment.stages.tables import of_run
from etl.model_policy import ModelPolicy


def targets(policy: ModelPolicy) -> tuple[str, ...]:
    """What training and judging need; all else is built because these need it."""
    return ("training_features", "validation_set", "test_set", *([policy.asked] if policy.asked else []))


def features(run: Run) -> Outcome:
    """Build training features, validation set and test set, with all that they need."""
    built = of_run(run).build(targets(run.policy))
    return Outcome(f"built {len(built)} tables", next_stage="train", details={"tables": built})
