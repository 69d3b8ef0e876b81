"""Stage `deploy`: put the winner on the endpoint with its first share of the traffic."""

from __future__ import annotations

from deployment.endpoint import Endpoint
from deployment.retention import prune_versions
from deployment.smoke import smoke_test
from deployment.stages.rollout import rollout_policy
from deployment.stages.run import Outcome, Run
from deployment.stages.tables import of_run
from deployment.stages.train import candidate_alias


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
    run.registry.put_challenger(model, version)
    policy = rollout_policy(run)
    share = policy.steps[0] if expected else 100
    endpoint = Endpoint(run.settings, model)
    if version not in endpoint.deployed():  # else an earlier delivery of this message has tried it
        smoke_test(
            Endpoint(run.settings, model, suffix="smoke"),
            version,
            run.warehouse.read(
                of_run(run).render(f"{model}/monitor/smoke_pairs.sql"),
                run.parameters(candidate=winner),
                usage=run.usage,
            ),
            label=run.policy.label,
            positive=run.policy.positive,
            tolerance=policy.smoke_tolerance,
            deadline=run.deadline,
        )
    endpoint.deploy(version, share=share, deadline=run.deadline)
    production = {
        "version": version,
        "previous_version": expected,
        "share": share,
        "threshold": decided["decision"]["threshold"],
        "bigquery_model": run.naming.candidate_model(run.slug, winner),
    }
    if share < 100:
        reason = f"version {version} ({winner}) serves {share} % of the traffic beside champion {expected}"
        return Outcome(reason, "CANARY", details={"production": {"action": "canary", **production}})
    run.registry.promote(model, version, expected=expected)
    gone = endpoint.undeploy_idle(deadline=run.deadline)
    reason = f"version {version} ({winner}) is champion and serves all traffic"
    details = {"production": {"action": "promote", **production}, "undeployed": gone, "pruned": prune_versions(run)}
    return Outcome(reason, "PROMOTED", details=details)
