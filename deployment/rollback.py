"""Bringing an earlier champion back, also while a rollout runs.

Which versions were champion, and in which order, stands in the ledger. What is found half done (a version that serves but
was never recorded) is finished and recorded first: the command may be given again after it was killed.
"""

from __future__ import annotations

from dataclasses import dataclass

from deployment.application import Application
from deployment.endpoint import Endpoint
from deployment.retention import champions
from deployment.rollout import Action, Step
from deployment.stages.champion import champion_of_version
from deployment.stages.rollout import STAGE, canary_of, rollout_message, take
from deployment.stages.run import Champion
from deployment.succession import succeed
from etl.errors import StateError
from etl.ledger import Event, Ledger
from etl.names import run_of
from etl.warehouse import Deadline


@dataclass(frozen=True)
class RolledBack:
    """What was done.

    Attributes:
        version: The version that serves now.
        previous: The version that served, or was on its way to.
        reason: Why, as recorded.
    """

    version: str
    previous: str
    reason: str


def roll_back(
    app: Application,
    model: str,
    *,
    to: str = "",
    reason: str = "a person asked for it",
    deadline: Deadline | None = None,
) -> RolledBack:
    """End a running rollout, or bring an earlier champion back; all traffic is the champion's afterwards.

    Args:
        app: bqloop in one environment.
        model: The model.
        to: The version to bring back. Default: while a rollout runs the champion, else the champion before it. The
            champion itself gets all traffic again, where others were left on the endpoint.
        reason: Why, for the ledger.
        deadline: Until when to wait.

    Raises:
        StateError: There is no champion, or none before it, or no such version.
        RetryableError: Vertex AI or BigQuery cannot be reached; the same call goes on.
    """
    ended = _end_rollout(app, model, reason, deadline)
    if ended is not None and to in {"", ended.version}:
        return ended
    ledger = app.ledger(model)
    line = champions(ledger.read("production_history"))
    now = app.registry.champion(model)
    if now is None:
        raise StateError(f"{model} has no champion: there is nothing to roll back")
    if to in {"", now.version_id} and line and line[-1] != now.version_id:
        # An earlier call moved the champion and was killed before it recorded that.
        return _bring_back(app, model, now.version_id, instead_of=line[-1], reason=reason, deadline=deadline)
    if to == now.version_id:
        return _serve_alone(app, model, to, reason=reason, deadline=deadline)
    if not to and len(line) < 2:
        raise StateError(
            f"there was no champion before version {now.version_id}. Name a version: bqloop rollback --to VERSION; "
            f"there are {', '.join(v.version_id for v in app.registry.versions(model))}"
        )
    return _bring_back(app, model, to or line[-2], instead_of=now.version_id, reason=reason, deadline=deadline)


def _end_rollout(app: Application, model: str, reason: str, deadline: Deadline | None) -> RolledBack | None:
    """Take the challenger that is on its way off; None where there is none, or it became champion meanwhile.

    A tick at the same time, or one that died, may have begun another step: that is finished first.
    """
    while (message := rollout_message(app.ledger(model), model)) is not None:
        run = app.run(message, deadline=deadline)
        try:
            canary = canary_of(run.events)
        except StateError:
            continue  # a tick has come to the end of the rollout since
        event = take(run, canary, Step(action=Action.ROLL_BACK, share=0, reasons=(reason,)))
        if event.details["step"]["action"] == Action.ROLL_BACK:
            return RolledBack(event.details["production"]["version"], canary.version, event.details["reason"])
    return None


def _bring_back(
    app: Application, model: str, version: str, *, instead_of: str, reason: str, deadline: Deadline | None
) -> RolledBack:
    registry, ledger = app.registry, app.ledger(model)
    target = _known(app, model, registry.get(model, version).version_id)
    left = _known(app, model, instead_of)
    endpoint = Endpoint(app.settings, model)
    # Traffic follows the decision: where another has become champion meanwhile, nothing has changed.
    endpoint.deploy(target.version, share=0, deadline=deadline)
    link = succeed(registry, ledger, model, target.version, expected=instead_of, claimant="rollback")
    endpoint.set_share(target.version, 100)
    endpoint.undeploy_idle(deadline=deadline)
    _record(ledger, model, target, left, reason, state="ROLLED_BACK", link=link)
    return RolledBack(target.version, instead_of, reason)


def _serve_alone(app: Application, model: str, champion: str, *, reason: str, deadline: Deadline | None) -> RolledBack:
    """Give the champion all traffic, and take off the endpoint what was left there."""
    endpoint = Endpoint(app.settings, model)
    there = {version: deployed.share for version, deployed in endpoint.deployed().items()}
    if there == {champion: 100}:
        raise StateError(f"version {champion} is the champion already, and serves all traffic")
    strangers = sorted(there.keys() - {champion})
    endpoint.deploy(champion, share=100, deadline=deadline)
    for version in strangers:
        endpoint.undeploy(version, deadline=deadline)
    challenger = app.registry.challenger(model)
    if challenger is not None and challenger.version_id in strangers:
        app.registry.drop_challenger(model)
    left = strangers[0] if strangers else champion
    state = "ROLLED_BACK" if strangers else "PROMOTED"
    _record(app.ledger(model), model, _known(app, model, champion), _known(app, model, left), reason, state=state)
    return RolledBack(champion, left, reason)


def _record(
    ledger: Ledger, model: str, target: Champion, left: Champion, reason: str, *, state: str, link: int | None = None
) -> None:
    """Keep in the run that made the version which was left what serves instead of it."""
    run_id = run_of(model, left.slug)
    events = ledger.events(run_id)
    production = {
        "action": "roll_back",
        "version": target.version,
        "previous_version": left.version,
        "share": 100,
        "threshold": target.threshold,
        "bigquery_model": target.bigquery_model,
    }
    details = {
        "reason": reason,
        "run_state": state,
        "production": production if link is None else {**production, "succession": link},
    }
    attempt = 1 + sum(event.stage == STAGE and event.status == "SUCCEEDED" for event in events)
    ledger.append(Event(run_id, STAGE, "SUCCEEDED", attempt, events[0].as_of, details))


def _known(app: Application, model: str, version: str) -> Champion:
    return champion_of_version(version, app.registry.get(model, version).bigquery_model, app.ledger(model), model)
