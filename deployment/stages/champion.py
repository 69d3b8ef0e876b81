"""Who serves now, and what it takes to compute as it does."""

from __future__ import annotations

from deployment.registry import Registry
from deployment.stages.run import Champion
from etl.errors import StateError
from etl.ledger import Ledger
from etl.names import candidate_of, run_of


def find_champion(registry: Registry, ledger: Ledger, model: str) -> Champion | None:
    """The version under the alias `champion`, with the threshold and the SQL that the ledger has of its run.

    Returns:
        None before the first promotion.

    Raises:
        StateError: The registry has a champion that the ledger knows nothing of.
    """
    version = registry.champion(model)
    if version is None:
        return None
    return champion_of_version(version.version_id, version.bigquery_model, ledger, model)


def champion_of_version(version_id: str, bigquery_model: str, ledger: Ledger, model: str) -> Champion:
    """A version with the threshold and the SQL that the ledger has of the run that trained it.

    Raises:
        StateError: The ledger knows nothing of that run's evaluation.
    """
    if not bigquery_model:
        raise StateError(f"version {version_id} of {model} bears no label of bqloop's: it was not trained by it")
    slug, candidate = candidate_of(bigquery_model)
    run_id = run_of(model, slug)
    for event in reversed(ledger.events(run_id)):
        if event.stage == "evaluate" and event.status == "SUCCEEDED":
            for metric in event.details["metrics"]:
                if metric["name"] == candidate:
                    return Champion(
                        version=version_id,
                        bigquery_model=bigquery_model,
                        slug=slug,
                        candidate=candidate,
                        threshold=metric.get("threshold"),
                        templates=ledger.templates_of(event.sql_sha),
                        as_of=event.as_of,
                    )
    raise StateError(
        f"version {version_id} ({bigquery_model}) serves, but the ledger has no evaluation of it in run {run_id}. "
        "It was not promoted by bqloop; promote one of bqloop's own versions with `bqloop retrain --force`"
    )
