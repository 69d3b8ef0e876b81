"""`bqloop try`: would the working tree's SQL make a better model than the one that serves?

The stages' own parts do it: they build the features, train the candidates and measure them beside the champion on the same
rows. They do it in a scratch dataset; the registry is only read, and the ledger is not written.
"""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deployment.application import Application
from deployment.evidence import Evidence
from deployment.gate import Decision
from deployment.gate import decide as apply_gate
from deployment.gate_policy import gate_policy_of
from deployment.stages.champion import champion_of_version
from deployment.stages.check import violations
from deployment.stages.decide import evidence_of
from deployment.stages.evaluate import CHAMPION, Scored, measure
from deployment.stages.features import targets
from deployment.stages.run import Champion
from deployment.stages.tables import as_champion, of_run
from deployment.stages.train import Candidate, train_candidates
from deployment.workbench.scratch import ScratchRun, scratch_run
from deployment.workbench.trial_answer import Judgement, judge
from etl.errors import StateError, StatementError, TemplateError
from etl.templates import Templates
from etl.warehouse import Usage

_EXAMPLES = 8
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Trial:
    """What a try found.

    Attributes:
        model: The continuously trained model.
        as_of: The instant as of which data were seen, ISO 8601.
        champion: The version that it was measured against.
        judgement: The answer.
        decision: What the gate would say.
        evidence: All that was measured.
        changed: Pairs of which the best candidate says otherwise than the champion; None where the model has no
            `review/changed_pairs.sql`.
        features: Columns that candidates train on and the champion did not (`+ name`), and the other way round (`- name`).
        training_rows: Rows that the candidates were trained on, and those of the champion (None where they are gone).
        failed: Candidates that could not be trained, and why.
        checks: What checks on incoming data found.
        sql_changes: Unified diff of the model's SQL since the champion's run.
        seconds: How long each step took, by name.
        usage: What the jobs used.
        slice_metric: The metric in which slices are compared.
    """

    model: str
    as_of: str
    champion: Champion
    judgement: Judgement
    decision: Decision
    evidence: Evidence
    changed: Sequence[Row] | None
    features: Sequence[str]
    training_rows: tuple[int, int | None]
    failed: Mapping[str, str]
    checks: Sequence[Row]
    sql_changes: str
    seconds: Mapping[str, float]
    usage: Usage
    slice_metric: str = "f1_score"


class _Clock:
    """How long each step takes; each is told as it begins."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self.seconds: dict[str, float] = {}
        self._tell = tell
        self._step, self._began = "", time.monotonic()

    def begin(self, step: str) -> None:
        self.end()
        self._step, self._began = step, time.monotonic()
        self._tell(step)

    def end(self) -> None:
        if self._step:
            self.seconds[self._step] = round(time.monotonic() - self._began, 1)
        self._step = ""


def try_change(
    app: Application,
    model: str,
    against: str = CHAMPION,
    *,
    begin: Callable[[str], None] = lambda step: None,
    tell: Callable[[str], None] = lambda step: None,
) -> Trial:
    """Build, train, measure and compare in a scratch dataset that is gone afterwards.

    Args:
        app: bqloop in one environment.
        model: The model.
        against: Number or alias of the version to compare with.
        begin: Hears of each part of the try as it begins.
        tell: Hears of each job before it runs.

    Raises:
        StateError: There is no such version, or there are no labelled rows to judge by.
        TemplateError: A template is wrong, or a candidate would be registered.
        StatementError: BigQuery refuses a statement, or no candidate could be trained.
    """
    begin("finding the champion")
    version = app.registry.find(model, against)
    if version is None:
        known = ", ".join(v.version_id for v in app.registry.versions(model)) or "none"
        raise StateError(
            f"{model} has no version {against!r} to compare with; versions: {known}. "
            "You can train a first champion with: bqloop retrain --wait"
        )
    champion = champion_of_version(version.version_id, version.bigquery_model, app.ledger(model), model)
    clock = _Clock(begin)
    with scratch_run(app, model, tell) as run:
        clock.begin("checks on incoming data")
        checks = [found for found in violations(run) if found["rows"]]
        clock.begin("features")
        own = of_run(run)
        own.build(targets(run.policy))
        clock.begin("features as the champion has them")
        theirs = as_champion(run, champion)
        theirs.build(("validation_set", "test_set"))
        clock.begin("training")
        trained, failed = train_candidates(run, lambda name: _unregistered(run, name))
        clock.begin("evaluation")
        scored = [Scored.of(name, entry["model"], own) for name, entry in trained.items()]
        scored.append(Scored.of(CHAMPION, champion.bigquery_model, theirs))
        measured = measure(run, run.templates, scored, threshold=champion.threshold)
        if not measured["metrics"]:
            raise StateError(f"{model} has no labelled rows to judge by; import some with: bqloop import labels FILE")
        evidence = evidence_of(measured, [name for name in run.candidates if name in trained], champion=True)
        policy = gate_policy_of(run.policy)
        decision = apply_gate(policy, evidence)
        judgement = judge(policy.primary, evidence, decision)
        clock.begin("changed pairs")
        changed = _changed_pairs(run, judgement.candidate)
        features, rows = _training(run, champion)
        clock.end()
    return Trial(
        model=model,
        as_of=run.message.as_of.isoformat(timespec="seconds"),
        champion=champion,
        judgement=judgement,
        decision=decision,
        evidence=evidence,
        changed=changed,
        features=features,
        training_rows=rows,
        failed=failed,
        checks=checks,
        sql_changes=_sql_changes(champion.templates, run.templates),
        seconds=clock.seconds,
        usage=run.usage,
        slice_metric=policy.slices.metric if policy.slices else "f1_score",
    )


def _unregistered(run: ScratchRun, name: str) -> Candidate:
    candidate = Candidate(name, f"`{run.naming.candidate_model(run.slug, name)}`", "", ())
    path = f"{run.message.model}/train/{name}.sql"
    statement = of_run(run, candidate=candidate).render(path)
    if "model_registry" in statement.text or "vertex_ai_model_id" in statement.text:
        raise TemplateError(
            f"sql/{path}: the model would be registered, and a try must not do that. "
            "Write {{ registry.registry_options(candidate) }} in OPTIONS in the place of the registry's options"
        )
    return candidate


def _changed_pairs(run: ScratchRun, candidate: str) -> list[dict[str, Any]] | None:
    path = run.templates.resolve(f"{run.message.model}/review/changed_pairs.sql")
    if path not in run.templates.sources:
        return None
    parameters = run.parameters(candidate=candidate, examples=_EXAMPLES)
    return run.warehouse.read(of_run(run).render(path), parameters, usage=run.usage)


def _training(run: ScratchRun, champion: Champion) -> tuple[list[str], tuple[int, int | None]]:
    """Features that came and went since the champion was trained; rows trained on, now and then."""
    names = [run.naming.run_table(slug, "training_features") for slug in (run.slug, champion.slug)]
    now = run.warehouse.client.get_table(names[0])
    try:
        mine, theirs = (run.warehouse.columns(name) for name in names)
    except StatementError:  # the champion's tables have reached the end of their retention
        return [], (int(now.num_rows), None)
    then = run.warehouse.client.get_table(names[1])
    came = [f"+ {name}" for name in mine if name not in theirs]
    gone = [f"- {name}" for name in theirs if name not in mine]
    return came + gone, (int(now.num_rows), int(then.num_rows))


def _sql_changes(then: Templates, now: Templates) -> str:
    """What changed in the model's own SQL."""
    changes: list[str] = []
    for path in sorted(then.sources.keys() | now.sources.keys()):
        before, after = then.sources.get(path, ""), now.sources.get(path, "")
        if before != after and not path.startswith("ledger/"):
            changes += difflib.unified_diff(
                before.splitlines(), after.splitlines(), f"champion/{path}", f"tree/{path}", lineterm=""
            )
    return "\n".join(changes)
