"""Stage `deploy`: put the winner on the endpoint with its first share of the traffic.

Before that it has to answer known pairs as ML.PREDICT does, and to shadow the champion: what it would have said to the pairs
that the champion answered lately, by the features that were logged. So one that contradicts the champion never gets a request.
"""

from __future__ import annotations

import datetime as dt

from deployment.endpoint import Endpoint
from deployment.retention import prune_versions
from deployment.rollout import RolloutPolicy, contradictions
from deployment.smoke import smoke_test
from deployment.stages.rollout import rollout_policy
from deployment.stages.run import Outcome, Run
from deployment.stages.shadow import compare_with_shadow, known_version
from deployment.stages.tables import of_run
from deployment.stages.train import candidate_alias
from deployment.succession import succeed

# How long ago the champion may have answered what the challenger is tried on.
_SHADOWED_DAYS = 7


def deploy(run: Run) -> Outcome:
    """Deploy the winner; with all of the traffic it is the champion at once, else the rollout goes on from here.

    Raises:
        StateError: Another version became champion since the evidence was gathered.
    """
    decided = run.details_of("decide")
    winner, expected = decided["decision"]["winner"], decided["champion"]
    model = run.message.model
    version = run.registry.get(model, candidate_alias(run.slug, winner)).version_id
    run.registry.check_champion(model, version, expected=expected)
    policy = rollout_policy(run)
    share = policy.steps[0] if expected else 100
    endpoint = Endpoint(run.settings, model)
    shadowed = _shadow(run, version, expected) if expected else None
    if version not in endpoint.deployed():  # else an earlier delivery of this message has tried it
        against = "; ".join(contradictions(policy, **shadowed)) if shadowed else ""
        if against:
            reason = f"version {version} ({winner}) gets no traffic: shadowing the champion, {against}"
            return Outcome(reason, "REJECTED", details={"shadow": shadowed})
        _smoke(run, version, winner, policy)
    else:
        tidy(run)
    run.registry.put_challenger(model, version)
    # All traffic follows the decision who is champion, below; where that is refused, nothing has changed.
    endpoint.deploy(version, share=share if share < 100 else 0, deadline=run.deadline)
    production = {
        "version": version,
        "previous_version": expected,
        "share": share,
        "threshold": decided["decision"]["threshold"],
        "bigquery_model": run.naming.candidate_model(run.slug, winner),
    }
    if share < 100:
        reason = f"version {version} ({winner}) serves {share} % of the traffic beside champion {expected}"
        return Outcome(reason, "CANARY", details={"production": {"action": "canary", **production}, "shadow": shadowed})
    link = succeed(run.registry, run.ledger, model, version, expected=expected, claimant=run.message.run_id)
    endpoint.set_share(version, 100)
    gone = endpoint.undeploy_idle(deadline=run.deadline)
    reason = f"version {version} ({winner}) is champion and serves all traffic"
    details = {
        "production": {"action": "promote", **production, "succession": link},
        "shadow": shadowed,
        "undeployed": gone,
        "pruned": prune_versions(run),
    }
    return Outcome(reason, "PROMOTED", details=details)


def tidy(run: Run) -> None:
    """Clear the smoke test's endpoint: a delivery that was killed in it comes again when another has ended the stage.

    Raises:
        RetryableError: Vertex AI is away or busy; the same call goes on.
    """
    Endpoint(run.settings, run.message.model, suffix="smoke").clear(deadline=run.deadline)


def _shadow(run: Run, version: str, champion: str) -> dict[str, int]:
    """How often the version would have answered otherwise than the champion did lately, of how many pairs."""
    now = dt.datetime.now(dt.UTC)
    found = compare_with_shadow(
        run,
        known_version(run, version),
        since=now - dt.timedelta(days=_SHADOWED_DAYS),
        until=now,
        answering=known_version(run, champion),
    )
    return {"compared": found["compared_pairs"], "disagreements": found["disagreements"]}


def _smoke(run: Run, version: str, candidate: str, policy: RolloutPolicy) -> None:
    """Try the version on known pairs, alone.

    Raises:
        StateError: It does not say what ML.PREDICT says.
    """
    smoke_test(
        Endpoint(run.settings, run.message.model, suffix="smoke"),
        version,
        run.warehouse.read(
            of_run(run).render(f"{run.message.model}/monitor/smoke_rows.sql"),
            run.parameters(candidate=candidate),
            usage=run.usage,
        ),
        label=run.policy.label,
        positive=None if run.policy.task == "regression" else run.policy.positive,
        tolerance=policy.smoke_tolerance,
        deadline=run.deadline,
    )
