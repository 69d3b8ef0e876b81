"""Stage `monitor`: has what the service sees moved away from what the champion learned, and what do people say?

Findings are recorded; drift past its limit asks for a retrain, by force, because new data alone would not tell.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deployment.retention import prune_run_tables
from deployment.stages.champion import find_champion
from deployment.stages.run import Outcome, Run
from deployment.stages.score import Serving
from deployment.stages.tables import FeatureColumns, TableSet
from etl.errors import ConfigurationError

# Past max_age_days a run is due; a champion of twice that age has had as long again to be followed, and was not.
_AGES_UNTIL_STALE = 2
log = structlog.get_logger(__name__)


class MonitorPolicy(BaseModel):
    """The section `monitor` within `serving:` of model.yml.

    Attributes:
        days: What is looked at; it is compared with four times as many days before.
        minimum_pairs: Fewer answers, recent or before, tell nothing.
        skew_limit: Jensen-Shannon divergence from the training data past which a feature is reported.
        drift_limit: The same from the days before; past it a retrain is asked for.
        score_shift_limit: Gap between the distributions of the scores past which a retrain is asked for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    days: int = Field(default=1, ge=1)
    minimum_pairs: int = Field(default=200, ge=1)
    skew_limit: float = Field(default=0.3, gt=0, le=1)
    drift_limit: float = Field(default=0.1, gt=0, le=1)
    score_shift_limit: float = Field(default=0.15, gt=0, le=1)


@dataclass(frozen=True)
class MonitorVerdict:
    """Whether to ask for a retrain, and what was found."""

    retrain: bool
    reason: str


def judge(policy: MonitorPolicy, answers: Mapping[str, Any], drift: Sequence[Mapping[str, Any]]) -> MonitorVerdict:
    """Decide from what the SQL found.

    Args:
        policy: The limits.
        answers: The row of monitor/answers.sql.
        drift: Rows of monitor/drift.sql; empty where there was too little to compare.
    """
    few = min(answers["pairs"] or 0, answers["pairs_before"] or 0)
    if few < policy.minimum_pairs:
        return MonitorVerdict(
            False,
            f"too few answers to compare: {few} pairs of the {policy.minimum_pairs} that monitor.minimum_pairs wants",
        )
    moved = [row for row in drift if row["is_anomaly"]]
    shift = answers["score_shift"] or 0.0
    if moved:
        named = ", ".join(f"{row['subject']} {row['value']:.2f}" for row in moved[:3])
        return MonitorVerdict(True, f"{len(moved)} features drifted past {policy.drift_limit:g}: {named}")
    if shift > policy.score_shift_limit:
        return MonitorVerdict(True, f"scores shifted by {shift:.2f}, past {policy.score_shift_limit:g}")
    return MonitorVerdict(False, f"no drift in {answers['pairs']} pairs; scores shifted by {shift:.2f}")


def staleness(trained: dt.datetime, now: dt.datetime, *, max_age_days: float) -> str:
    """Why a champion is stale; "" while it is not.

    Args:
        trained: The instant of the run that trained it.
        now: When it is looked at.
        max_age_days: `freshness.max_age_days` of model.yml.
    """
    age = (now - trained) / dt.timedelta(days=1)
    if age <= _AGES_UNTIL_STALE * max_age_days:
        return ""
    return f"the champion was trained {age:.0f} days ago, and max_age_days is {max_age_days:g}: see why no run has followed it"


def monitor(run: Run) -> Outcome:
    """Compare, record, forget what is too old, and ask for a retrain where it is needed."""
    policy, model = _policy(run), run.message.model
    champion = find_champion(run.registry, run.ledger, model)
    if champion is None:
        return Outcome("there is no champion yet, so there is nothing to watch", "SKIPPED", status="SKIPPED")
    serving = Serving(f"`{champion.bigquery_model}`", champion.version)
    trained_on = run.naming.run_table(champion.slug, "training_features")
    features = FeatureColumns(run.warehouse, trained_on, champion.policy.not_features)
    context = {"champion": serving, "features": features.types}
    tables = TableSet(run, run.templates, run.slug, {"training_features": champion.slug}, context)

    def read(name: str, **parameters: Any) -> list[dict[str, Any]]:
        statement = tables.render(f"{model}/monitor/{name}.sql")
        return run.warehouse.read(statement, run.parameters(days=policy.days, **parameters), usage=run.usage)

    answers = read("answers")[0]
    recent = (answers["pairs"] or 0) >= policy.minimum_pairs
    comparable = recent and (answers["pairs_before"] or 0) >= policy.minimum_pairs
    drift = read("drift", drift_limit=policy.drift_limit) if comparable else []
    skew = read("skew", skew_limit=policy.skew_limit, version=champion.version) if recent else []
    verdict = judge(policy, answers, drift)
    run.execute(
        tables.render(f"{model}/monitor/forget.sql"),
        "forget",
        inference_log_days=run.policy.retention.inference_log_days,
    )
    pruned = prune_run_tables(run)
    stale = staleness(champion.as_of, run.message.as_of, max_age_days=run.policy.freshness.max_age_days)
    if stale:
        # Terraform's log-based metric counts lines with this field.
        log.warning(stale, alert="stale_champion", run_id=run.message.run_id, stage="monitor", model=model)
    details = {
        "champion": champion.version,
        "stale": stale,
        "answers": answers,
        "drift": drift,
        "skew": [row for row in skew if row["is_anomaly"]],
        "retrain": verdict.retrain,
        "pruned_tables": len(pruned),
    }
    if verdict.retrain:
        options = {"force": True, "reason": verdict.reason}
        return Outcome(verdict.reason, next_stage="check", options=options, details=details)
    return Outcome(verdict.reason, "MONITORED", details=details)


def _policy(run: Run) -> MonitorPolicy:
    try:
        return MonitorPolicy.model_validate(run.policy.serving.get("monitor", {}))
    except ValidationError as error:
        lines = [f"  serving.monitor.{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise ConfigurationError(f"sql/{run.message.model}/model.yml is wrong:\n" + "\n".join(lines)) from error
