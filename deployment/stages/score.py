"""Stage `score`: batch-score what came in with the champion, and cluster the duplicates."""

from __future__ import annotations

from dataclasses import dataclass

from deployment.stages.champion import find_champion
from deployment.stages.run import Outcome, Run
from deployment.stages.tables import with_frozen


@dataclass(frozen=True)
class Serving:
    """What a template in `predict/` may ask about the champion.

    Attributes:
        model: Back-quoted full name of its BigQuery model.
        version: Its version in the registry.
    """

    model: str
    version: str


def score(run: Run) -> Outcome:
    """Build all of `predict/` with the champion's own SQL, statistics and threshold."""
    champion = find_champion(run.registry, run.ledger, run.message.model)
    if champion is None:
        return Outcome("there is no champion yet, so there is nothing to score with", "SKIPPED", status="SKIPPED")
    tables = with_frozen(run, champion, champion=Serving(f"`{champion.bigquery_model}`", champion.version))
    targets = champion.templates.stems(f"{run.message.model}/predict")
    built = tables.build(targets, threshold=champion.threshold_parameter, version=champion.version)
    return Outcome(f"scored with version {champion.version}: {', '.join(targets)}", "SCORED", details={"tables": built})
