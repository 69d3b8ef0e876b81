"""Stage `rollout`: at each tick, look at the challenger's health and take the next step with it.

A step is recorded before it is taken (STARTED, with the decision) and after (SUCCEEDED, with what serves now); every part
of it may come twice. So a tick that was killed at any line is finished by the next one as it was decided. Of two that decide
at the same time, be it ticks or a person's rollback, the one that is recorded first decides for both, because the record of
a step can be made once. A tick that only waits leaves no event.

A tick that is refused for good is recorded as FAILED, and the challenger keeps its share: the next tick tries again, and
`bqloop status` says what is wrong meanwhile.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from pydantic import ValidationError

from deployment.endpoint import Endpoint
from deployment.retention import prune_versions
from deployment.rollout import Action, Health, RolloutPolicy, Step, next_step
from deployment.stages.message import StageMessage
from deployment.stages.run import Run
from deployment.stages.shadow import compare_with_shadow, known_version
from deployment.stages.tables import of_run
from deployment.succession import succeed
from etl.errors import ConfigurationError, StateError
from etl.ledger import Event, Ledger

STAGE = "rollout"
CANARY = "CANARY"
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Canary:
    """A challenger that serves beside the champion.

    Attributes:
        version: Its version in the registry.
        champion: The version that it was measured against.
        share: Percent of the traffic that it has.
        threshold: Probability from which it says yes; None for a regression.
        bigquery_model: Full name of its BigQuery model.
        since: When it got its share.
    """

    version: str
    champion: str
    share: int
    threshold: float | None
    bigquery_model: str
    since: dt.datetime


def rollout_policy(run: Run) -> RolloutPolicy:
    """The environment's rollout with the model's overrides.

    Raises:
        ConfigurationError: A key is wrong; the text names it.
    """
    try:
        return RolloutPolicy.of(run.settings.rollout, run.policy.rollout)
    except ValidationError as error:
        lines = [f"  rollout.{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise ConfigurationError(
            f"sql/{run.message.model}/model.yml or infra/environments/{run.settings.env}.yaml is wrong:\n"
            + "\n".join(lines)
        ) from error


def rollout_message(ledger: Ledger, model: str) -> StageMessage | None:
    """The message to the run whose challenger is on its way; None where none is."""
    for row in ledger.read("recent_runs"):
        if row["state"] == CANARY:
            return StageMessage(model=model, run_id=row["run_id"], stage=STAGE, as_of=row["as_of"])
    return None


def canary_of(events: Sequence[Event]) -> Canary:
    """The challenger as the run's events tell of it.

    Raises:
        StateError: The run has none.
    """
    for event in reversed(events):
        production = event.details.get("production")
        if production and event.status == "SUCCEEDED":
            if event.details.get("run_state") != CANARY:
                break  # it was promoted or rolled back since
            assert event.at is not None, "an event that was read has its time"  # noqa: S101
            return Canary(
                version=production["version"],
                champion=production["previous_version"],
                share=production["share"],
                threshold=production["threshold"],
                bigquery_model=production["bigquery_model"],
                since=event.at,
            )
    raise StateError("no challenger of this run serves: there is nothing to roll out")


def tick(run: Run, now: dt.datetime) -> Event | None:
    """Take the next step with the run's challenger, or wait.

    Returns:
        The event of the step; None where the challenger only waits.

    Raises:
        RetryableError: A service is down, or the step goes on beyond the deadline; the next tick finishes it.
    """
    try:
        canary = canary_of(run.events)
    except StateError:
        return None  # another tick, at the same time, has come to the end of the rollout
    step = _lost_its_champion(run, canary) or _begun(run.events) or _decide(run, canary, now)
    if step.action is Action.HOLD:
        log.info("the challenger waits", run_id=run.message.run_id, version=canary.version, reasons=step.reasons)
        if _refused_last(run):  # what was wrong is mended: `bqloop status` need not tell of it any more
            failures = sum(event.stage == STAGE and event.status == "FAILED" for event in run.events)
            _record(run, failures, "SKIPPED", {"reason": "; ".join(step.reasons), "run_state": CANARY})
        return None
    return take(run, canary, step)


def record_refusal(run: Run, reason: str) -> Event | None:
    """Record that a tick was refused for good; the challenger keeps its share, and the next tick tries again.

    Returns:
        The event; None where the last tick was refused for the same reason.
    """
    failed = [event for event in run.events if event.stage == STAGE and event.status == "FAILED"]
    if _refused_last(run) and failed[-1].details["reason"] == reason:
        return None
    return _record(run, len(failed) + 1, "FAILED", {"reason": reason, "run_state": CANARY})


def _refused_last(run: Run) -> bool:
    ticks = [event for event in run.events if event.stage == STAGE and event.status != "STARTED"]
    return bool(ticks) and ticks[-1].status == "FAILED"


def take(run: Run, canary: Canary, step: Step) -> Event:
    """Take a step and record it. Where another was begun first, that one is finished in its stead.

    Returns:
        The event of the step that was taken; `details["step"]` tells which.
    """
    attempt = 1 + sum(event.stage == STAGE and event.status == "SUCCEEDED" for event in run.events)
    reason = "; ".join(step.reasons)
    intent = {"reason": reason, "run_state": CANARY, "step": step.model_dump(mode="json")}
    _record(run, attempt, "STARTED", intent)
    for event in run.ledger.events(run.message.run_id):
        if event.stage == STAGE and event.attempt == attempt:
            if event.status == "SUCCEEDED":
                return event
            if event.status == "STARTED":
                step = Step.model_validate(event.details["step"])
    reason = "; ".join(step.reasons)
    intent = {"reason": reason, "run_state": CANARY, "step": step.model_dump(mode="json")}
    act = {Action.ADVANCE: _advance, Action.COMPLETE: _complete, Action.ROLL_BACK: _roll_back}[step.action]
    state, production = act(run, canary, step)
    if step.action is Action.ROLL_BACK:
        # Terraform's log-based metric counts lines with this field.
        log.warning(reason, alert="rolled_back", run_id=run.message.run_id, stage=STAGE, version=canary.version)
    return _record(run, attempt, "SUCCEEDED", {**intent, "run_state": state, "production": production})


def _lost_its_champion(run: Run, canary: Canary) -> Step | None:
    """The way back for a challenger whose evidence no longer holds, because somebody else became champion."""
    champion = run.registry.champion(run.message.model)
    if champion is not None and champion.version_id in {canary.champion, canary.version}:
        return None
    there = "none" if champion is None else f"version {champion.version_id}"
    reason = f"it was measured against champion {canary.champion}, and the champion is {there} by now"
    return Step(action=Action.ROLL_BACK, share=0, reasons=(reason,))


def _decide(run: Run, canary: Canary, now: dt.datetime) -> Step:
    health = measure_health(run, canary, now)
    return next_step(rollout_policy(run), health, share=canary.share, since=canary.since, now=now)


def measure_health(run: Run, canary: Canary, now: dt.datetime) -> Health:
    """What the log of inferences tells about a challenger since it got its share."""
    model = run.message.model
    candidate = run.details_of("decide")["decision"]["winner"]
    (row,) = run.warehouse.read(
        of_run(run).render(f"{model}/monitor/rollout_health.sql"),
        run.parameters(
            since=canary.since, until=now, version=canary.version, champion=canary.champion, candidate=candidate
        ),
        usage=run.usage,
    )
    shadowed: Mapping[str, int] = {}
    if row["challenger_pairs"]:
        shadowed = compare_with_shadow(
            run,
            known_version(run, canary.champion),
            since=canary.since,
            until=now,
            answering=known_version(run, canary.version),
        )
    return Health.model_validate({**row, **shadowed})


def _begun(events: Sequence[Event]) -> Step | None:
    """The step that an earlier tick began and did not finish."""
    finished = {event.attempt for event in events if event.stage == STAGE and event.status == "SUCCEEDED"}
    for event in reversed(events):
        if event.stage == STAGE and event.status == "STARTED" and event.attempt not in finished:
            return Step.model_validate(event.details["step"])
    return None


def _advance(run: Run, canary: Canary, step: Step) -> tuple[str, dict[str, Any]]:
    Endpoint(run.settings, run.message.model).set_share(canary.version, step.share)
    return CANARY, _production("advance", canary, share=step.share)


def _complete(run: Run, canary: Canary, step: Step) -> tuple[str, dict[str, Any]]:
    model, endpoint = run.message.model, Endpoint(run.settings, run.message.model)
    run_id = run.message.run_id
    link = succeed(run.registry, run.ledger, model, canary.version, expected=canary.champion, claimant=run_id)
    endpoint.set_share(canary.version, step.share)
    endpoint.undeploy_idle(deadline=run.deadline)
    prune_versions(run)
    return "PROMOTED", {**_production("promote", canary, share=step.share), "succession": link}


def _roll_back(run: Run, canary: Canary, _: Step) -> tuple[str, dict[str, Any]]:
    model, endpoint = run.message.model, Endpoint(run.settings, run.message.model)
    serving = run.registry.champion(model)
    champion = known_version(run, serving.version_id if serving else canary.champion)
    endpoint.deploy(champion.version, share=100, deadline=run.deadline)
    endpoint.undeploy(canary.version, deadline=run.deadline)
    challenger = run.registry.challenger(model)
    if challenger is not None and challenger.version_id == canary.version:
        run.registry.drop_challenger(model)
    return "ROLLED_BACK", {
        "action": "roll_back",
        "version": champion.version,
        "previous_version": canary.version,
        "share": 100,
        "threshold": champion.threshold,
        "bigquery_model": champion.bigquery_model,
    }


def _production(action: str, canary: Canary, *, share: int) -> dict[str, Any]:
    return {
        "action": action,
        "version": canary.version,
        "previous_version": canary.champion,
        "share": share,
        "threshold": canary.threshold,
        "bigquery_model": canary.bigquery_model,
    }


def _record(run: Run, attempt: int, status: str, details: dict[str, Any]) -> Event:
    event = Event(run.message.run_id, STAGE, status, attempt, run.message.as_of, details)
    run.ledger.append(event, usage=run.usage if status == "SUCCEEDED" else None)
    return event
