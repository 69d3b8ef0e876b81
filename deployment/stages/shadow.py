"""What another version would have said to what one version answered: monitor/shadow.sql, where it proves something.

The shadow is given the features as they were logged, and those were computed by the answering version: with its SQL and
with the statistics of its corpus. Where the SQL of the two differs, a feature of one name may mean two things, and nothing
is compared; the shares of the rollout decide then. Statistics alone move weights a little: how little is measured in
tests/e2e/test_whole_rollouts.py, and `maximum_disagreement` leaves room for it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deployment.stages.champion import champion_of_version
from deployment.stages.run import Champion, Run
from deployment.stages.tables import FeatureColumns, of_run
from etl.templates import Templates

NOTHING_COMPARED: Mapping[str, int] = {"compared_pairs": 0, "disagreements": 0}


@dataclass(frozen=True)
class Shadow:
    """What monitor/shadow.sql asks: a model, and the name and BigQuery type of each of its features."""

    model: str
    features: Sequence[tuple[str, str]]


def compare_with_shadow(
    run: Run, shadow: Champion, *, since: dt.datetime, until: dt.datetime, answering: Champion
) -> Mapping[str, int]:
    """How often another version would have answered otherwise than the answering one did in the window.

    Returns:
        `compared_pairs` and `disagreements`; no pairs where the logged features are not those that the shadow would compute.
    """
    wanted = _features(run, shadow.slug)
    logged = {name for name, _ in _features(run, answering.slug)}
    if _sql_of_features(shadow.templates) != _sql_of_features(answering.templates):
        return NOTHING_COMPARED
    if not {name for name, _ in wanted} <= logged:
        return NOTHING_COMPARED
    asked = Shadow(f"`{shadow.bigquery_model}`", wanted)
    (row,) = run.warehouse.read(
        of_run(run, shadow=asked).render(f"{run.message.model}/monitor/shadow.sql"),
        run.parameters(
            since=since, until=until, version=answering.version, shadow_threshold=shadow.threshold_parameter
        ),
        usage=run.usage,
    )
    return row


def known_version(run: Run, version: str) -> Champion:
    """A version of the run's model with what the ledger knows of it."""
    model = run.message.model
    return champion_of_version(version, run.registry.get(model, version).bigquery_model, run.ledger, model)


def _features(run: Run, slug: str) -> Sequence[tuple[str, str]]:
    table = run.naming.run_table(slug, "training_features")
    return FeatureColumns(run.warehouse, table, run.policy.not_features).types


def _sql_of_features(templates: Templates) -> dict[str, str]:
    """The texts that make features: those of the folder, and the macros that they may call."""
    return {
        path: text
        for path, text in templates.sources.items()
        if "/features/" in f"/{path}" or path.startswith("macros/")
    }
