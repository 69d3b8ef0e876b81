"""Stage `evaluate`: score every candidate and the champion on the same frozen rows; SQL does it all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deployment.gate_policy import gate_policy_of
from deployment.registry import version_labels
from deployment.stages.champion import find_champion
from deployment.stages.run import Champion, Outcome, Run
from deployment.stages.tables import TableSet, as_champion, of_run
from deployment.stages.train import candidate_alias
from etl.query_parameters import Null
from etl.templates import Templates

CHAMPION = "champion"
# Result tables that are small, and kept whole in the ledger for the gate and for reviewers.
RECORDED = ("metrics", "comparison", "slices")


@dataclass(frozen=True)
class Scored:
    """One model that a template in `evaluate/` scores.

    Attributes:
        name: The candidate's name, or `champion`.
        model: Back-quoted full name of the BigQuery model.
        validation: Back-quoted table of the validation rows with the features as this model knows them.
        test: The same for the test rows.
    """

    name: str
    model: str
    validation: str
    test: str

    @classmethod
    def of(cls, name: str, model: str, tables: TableSet) -> Scored:
        """A model with the rows that a set of tables has for it."""
        return cls(name, f"`{model}`", tables.name("validation_set"), tables.name("test_set"))


def evaluate(run: Run) -> Outcome:
    """Score candidates and champion, choose thresholds, compare."""
    trained = run.details_of("train")["candidates"]
    champion = find_champion(run.registry, run.ledger, run.message.model)
    own = of_run(run)
    scored = [Scored.of(name, entry["model"], own) for name, entry in trained.items()]
    if champion is not None:
        theirs = as_champion(run, champion)
        theirs.build(("validation_set", "test_set"))
        scored.append(Scored.of(CHAMPION, champion.bigquery_model, theirs))
    threshold = champion.threshold if champion else None
    results = measure(run, run.templates, scored, threshold=threshold)
    judged = {row["name"]: row for row in results["metrics"] if row["split"] == "validation"}
    for name in trained:
        _label_version(run, name, judged.get(name, {}))
    for row in results["metrics"]:
        if row["name"] in trained:
            alias = candidate_alias(run.slug, row["name"])
            run.registry.put_evaluation(run.message.model, alias, f"{alias}-{row['split']}", row)
    rows = max((row["row_count"] for row in judged.values()), default=0)
    return Outcome(
        f"scored {', '.join(s.name for s in scored)} on {rows} validation rows",
        next_stage="decide",
        details={**results, "champion": champion_details(champion)},
    )


def _label_version(run: Run, candidate: str, metrics: Mapping[str, Any]) -> None:
    """Write on the version in the registry what it is and how good, so that it can be told without the ledger."""
    gate = gate_policy_of(run.policy)
    named = ("threshold", *([gate.slices.metric] if gate.slices else []), gate.primary)
    facts = {name: metrics.get(name) for name in named}
    labels = version_labels(
        run=run.slug,
        candidate=candidate,
        sql_sha=run.templates.sha[:16],
        git_sha=run.settings.git_sha[:16],
        **facts,
    )
    run.registry.put_labels(run.message.model, candidate_alias(run.slug, candidate), labels)


def measure(
    run: Run,
    templates: Templates,
    scored: Sequence[Scored],
    *,
    threshold: float | None,
    elsewhere: Mapping[str, str] | None = None,
    only: Sequence[str] = (),
) -> dict[str, list[dict[str, Any]]]:
    """Measure models over feature tables that stand already.

    Args:
        run: The stage that asks.
        templates: The SQL to measure with.
        scored: The models.
        threshold: The champion's threshold; None where there is no champion, and for a regression.
        elsewhere: Slugs of feature tables that do not stand under the run's own name.
        only: The result tables that are wanted; empty for all of `evaluate/`.

    Returns:
        The rows of the small result tables, by table.
    """
    model = run.message.model
    standing = dict.fromkeys(templates.stems(f"{model}/features"), run.slug) | dict(elsewhere or {})
    tables = TableSet(run, templates, run.slug, standing, {"scored": scored})
    champion_threshold = Null("FLOAT64") if threshold is None else threshold
    built = tables.build(only or templates.stems(f"{model}/evaluate"), champion_threshold=champion_threshold)
    return {name: run.warehouse.rows(run.naming.run_table(run.slug, name)) for name in RECORDED if name in built}


def champion_details(champion: Champion | None) -> dict[str, Any] | None:
    """What the ledger keeps of the champion that a run was measured against."""
    if champion is None:
        return None
    return {
        "version": champion.version,
        "bigquery_model": champion.bigquery_model,
        "slug": champion.slug,
        "candidate": champion.candidate,
        "threshold": champion.threshold,
    }
