"""Rollouts on the local BigQuery and Vertex AI: good ones arrive, bad ones go back by themselves, killed ones are finished."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cloudevents.http import CloudEvent
from google.api_core import exceptions as api
from rollout_world import MODEL, RolloutWorld
from structlog.testing import capture_logs

from deployment.advice import Advice, Serving, advise
from deployment.endpoint import Endpoint
from deployment.retention import prune_versions
from deployment.rollback import roll_back
from deployment.rollout import Action, Step, next_step
from deployment.stages.deploy import deploy, tidy
from deployment.stages.protocol import cancel_run
from deployment.stages.shadow import compare_with_shadow, known_version
from deployment.succession import succeed
from etl.errors import StateError, UnavailableError
from etl.templates import Templates
from functions.stage_events import handle_rollout
from infra.local.vertex import Fault


@pytest.fixture
def world(tmp_path: Path, local_credentials: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RolloutWorld]:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(local_credentials))
    with RolloutWorld.running(tmp_path) as made:
        yield made


def test_a_good_challenger_reaches_all_traffic_step_by_step(world: RolloutWorld) -> None:
    champion, challenger = world.versions
    world.start_canary(share=50)
    assert world.tick() is None  # nobody has asked it anything yet
    world.serve(60)
    assert world.tick(minutes=1) is None  # not held long enough
    event = world.tick()
    assert event is not None
    assert event.details["run_state"] == "PROMOTED"
    assert "healthy at 50 %" in event.details["reason"]
    assert world.shares == {challenger: 100}
    assert world.aliases == {"champion": challenger, "default": challenger}
    assert world.state == "PROMOTED"
    assert world.history == [("promote", champion, 100), ("canary", challenger, 50), ("promote", challenger, 100)]
    assert world.tick() is None  # nothing is on its way any more


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ({"invert_scores": True}, "away from the champion's"),
        ({"error_share": 0.5}, "requests failed"),
        ({"delay_seconds": 0.15}, "too slow"),
    ],
)
def test_a_bad_challenger_goes_back_at_the_first_step_by_itself(
    world: RolloutWorld, fault: dict[str, float], says: str
) -> None:
    champion, _ = world.versions
    world.serve(20)
    world.start_canary(share=50)
    world.ail(**fault)
    world.serve(60)
    with capture_logs() as logged:
        event = world.tick(minutes=1)
    assert event is not None
    assert says in event.details["reason"]
    assert [line["log_level"] for line in logged if line.get("alert") == "rolled_back"] == ["warning"]
    assert event.details["run_state"] == world.state == "ROLLED_BACK"
    assert world.shares == {champion: 100}
    assert world.aliases == {"champion": champion, "default": champion}
    assert world.history[-1] == ("roll_back", champion, 100)
    assert world.refused <= 0.5 * 60  # failed for its sake: no more than its share


def test_a_challenger_that_contradicts_the_champion_in_its_shadow_never_gets_a_request(world: RolloutWorld) -> None:
    champion, _ = world.versions
    world.vertex.faults.set(f"{MODEL}@{champion}", Fault(invert_scores=True))
    world.serve(20)
    world.decide_for_challenger()
    outcome = deploy(world.run(2, "deploy"))
    assert outcome.run_state == "REJECTED"
    assert outcome.next_stage is None
    assert "shadowing the champion, it disagrees with the champion on" in outcome.reason
    assert outcome.details["shadow"]["compared"] == 60  # 20 requests of 3 pairs
    assert world.shares == {champion: 100}
    assert world.aliases == {"champion": champion, "default": champion}


def test_versions_that_compute_features_with_other_sql_are_not_compared_by_the_features_that_were_logged(
    world: RolloutWorld,
) -> None:
    world.serve(4)
    run = world.run(2, "deploy")
    answering, shadow = (known_version(run, version) for version in world.versions)
    window = {"since": world.as_of(1), "until": dt.datetime.now(dt.UTC)}
    assert compare_with_shadow(run, shadow, answering=answering, **window)["compared_pairs"] == 12
    path = f"{MODEL}/features/pair_features.sql"
    edited = {**answering.templates.sources, path: answering.templates.sources[path] + "-- in other units"}
    other = replace(answering, templates=Templates(MODEL, edited))
    assert compare_with_shadow(run, shadow, answering=other, **window)["compared_pairs"] == 0
    elsewhere = {**answering.templates.sources, f"{MODEL}/model.yml": "owner: another"}
    other = replace(answering, templates=Templates(MODEL, elsewhere))
    assert compare_with_shadow(run, shadow, answering=other, **window)["compared_pairs"] == 12


@pytest.mark.parametrize("requests", [0, 20])
def test_a_challenger_that_agrees_in_the_shadow_gets_its_first_share(
    world: RolloutWorld, monkeypatch: pytest.MonkeyPatch, requests: int
) -> None:
    champion, challenger = world.versions
    monkeypatch.setattr("deployment.stages.deploy._smoke", lambda *_: None)  # this world has no validation pairs
    if requests:
        world.serve(requests)
    world.decide_for_challenger()
    outcome = deploy(world.run(2, "deploy"))
    assert outcome.run_state == "CANARY"
    assert outcome.details["shadow"]["compared"] == 3 * requests
    assert world.shares == {champion: 90, challenger: 10}
    assert world.aliases["challenger"] == challenger


def test_a_deploy_that_comes_again_clears_what_the_smoke_test_of_a_killed_one_left(
    world: RolloutWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, challenger = world.versions
    monkeypatch.setattr("deployment.stages.deploy._smoke", lambda *_: None)  # this world has no validation pairs
    world.decide_for_challenger()
    deploy(world.run(2, "deploy"))
    run = world.run(2, "deploy")
    second = Endpoint(run.settings, MODEL, suffix="smoke")
    for again in (lambda: deploy(run), lambda: tidy(run)):
        second.deploy(challenger, share=100)
        again()
        assert second.deployed() == {}
    assert world.shares[challenger] == 10


@pytest.mark.parametrize("begun", ["set_share", "put_champion"])
def test_a_step_that_was_killed_is_finished_by_the_next_tick_as_it_was_decided(
    world: RolloutWorld, monkeypatch: pytest.MonkeyPatch, begun: str
) -> None:
    _, challenger = world.versions
    world.start_canary(share=50)
    world.serve(60)
    target = (
        "deployment.registry.Registry.put_champion"
        if begun == "put_champion"
        else f"deployment.endpoint.Endpoint.{begun}"
    )

    def killed(*_: object, **__: object) -> None:
        raise api.ServiceUnavailable("killed")

    with monkeypatch.context() as patch:
        patch.setattr(target, killed)
        with pytest.raises(api.ServiceUnavailable):
            world.tick()
    assert world.state == "CANARY"
    world.ail(invert_scores=True)
    world.serve(60)  # the step was decided before, on what was known then
    event = world.tick()
    assert event is not None
    assert event.details["run_state"] == "PROMOTED"
    assert world.shares == {challenger: 100}
    assert [action for action, _, _ in world.history] == ["promote", "canary", "promote"]


def test_of_a_tick_and_a_person_at_the_same_moment_the_first_that_is_recorded_decides_for_both(
    world: RolloutWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    champion, challenger = world.versions
    world.start_canary(share=50)
    world.serve(60)
    decided = next_step

    def person_is_faster(*args: Any, **kwargs: Any) -> Step:
        step = decided(*args, **kwargs)
        assert step.action is Action.COMPLETE
        roll_back(world.app, MODEL, reason="looks odd")
        return step

    with monkeypatch.context() as patch:
        patch.setattr("deployment.stages.rollout.next_step", person_is_faster)
        event = world.tick()
    assert event is not None
    assert event.details["reason"] == "looks odd"
    assert world.shares == {champion: 100}
    assert world.aliases == {"champion": champion, "default": champion}
    assert world.state == "ROLLED_BACK"
    assert world.history == [("promote", champion, 100), ("canary", challenger, 50), ("roll_back", champion, 100)]


def test_rollback_finishes_a_step_that_died_before_it_brings_the_champion_back(
    world: RolloutWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    champion, challenger = world.versions
    world.start_canary(share=50)
    world.serve(60)
    with monkeypatch.context() as patch:
        patch.setattr("deployment.registry.Registry.put_champion", _unavailable)
        with pytest.raises(UnavailableError):
            world.tick()  # it was decided to give it everything, and the alias was not moved yet
    done = roll_back(world.app, MODEL, reason="looks odd")
    assert (done.version, done.previous) == (champion, challenger)
    assert world.shares == {champion: 100}
    assert world.aliases == {"champion": champion, "default": champion}
    assert [action for action, _, _ in world.history] == ["promote", "canary", "promote", "roll_back"]


def test_a_tick_that_is_refused_for_good_is_told_at_once_and_the_next_one_tries_again(
    world: RolloutWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.start_canary(share=50)
    world.serve(60)
    monkeypatch.setattr("functions.stage_events.application", lambda: world.app)
    event = pubsub_event({"data": f'{{"model": "{MODEL}"}}'})

    def refused(*_: object) -> None:
        raise StateError("the quota of the endpoint is used up")

    with monkeypatch.context() as patch, capture_logs() as logged:
        patch.setattr("deployment.stages.rollout.measure_health", refused)
        handle_rollout(event)
        handle_rollout(event)
    alerts = [line for line in logged if line.get("alert") == "dead_letter"]
    assert [line["event"] for line in alerts] == ["the quota of the endpoint is used up"]
    assert [(advice.problem, advice.command) for advice in advice_now(world)] == [
        (
            (
                "its rollout is refused: the quota of the endpoint is used up. Mend the cause, and the next tick goes "
                "on; or take the challenger back"
            ),
            "bqloop rollback",
        )
    ]
    assert world.state == "CANARY"
    handle_rollout(event)  # the quota was raised; the time to hold is not over, so the challenger waits
    assert advice_now(world) == []
    promoted = world.tick()
    assert promoted is not None
    assert world.state == "PROMOTED"


@pytest.mark.parametrize("broken", ["cancelled", "no champion on the endpoint"])
def test_the_command_that_status_names_mends_what_is_wrong_with_the_endpoint(world: RolloutWorld, broken: str) -> None:
    champion, challenger = world.versions
    if broken == "cancelled":
        world.start_canary()
        cancel_run(world.run(2), "enough")  # what serves stays as it is
    else:
        world.endpoint.deploy(challenger, share=100)
        world.endpoint.undeploy(champion)
    (advice,) = advice_on_endpoint(world)
    assert advice.command == f"bqloop rollback --to {champion}"
    done = roll_back(world.app, MODEL, to=champion)
    assert (done.version, done.previous) == (champion, challenger)
    assert advice_on_endpoint(world) == []
    assert world.shares == {champion: 100}
    assert world.aliases == {"champion": champion, "default": champion}
    with pytest.raises(StateError, match="is the champion already, and serves all traffic"):
        roll_back(world.app, MODEL, to=champion)


def test_a_rollback_that_another_champion_forestalls_leaves_the_traffic_as_it_is(
    world: RolloutWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    champion, challenger = world.versions
    world.start_canary(share=50)
    world.serve(60)
    world.tick()
    third = world._train(3)
    decided = succeed

    def forestalled(*args: Any, **kwargs: Any) -> int:
        decided(*args[:3], third, expected=challenger, claimant="somebody else")
        return decided(*args, **kwargs)

    monkeypatch.setattr("deployment.rollback.succeed", forestalled)
    with pytest.raises(StateError, match=f"the champion is version {third} by now"):
        roll_back(world.app, MODEL, to=champion)
    assert world.shares[challenger] == 100


def test_a_challenger_whose_champion_was_replaced_meanwhile_goes_back(world: RolloutWorld) -> None:
    _, challenger = world.versions
    third = world._train(3)
    world.start_canary(share=10)
    world.endpoint.deploy(third, share=50)
    world.app.registry.put_champion(MODEL, third)
    event = world.tick()
    assert event is not None
    assert f"the champion is version {third} by now" in event.details["reason"]
    assert world.shares[third] == 100
    assert challenger not in world.shares
    assert world.aliases["champion"] == third


def test_rollback_while_a_rollout_runs_ends_it(world: RolloutWorld) -> None:
    champion, challenger = world.versions
    world.start_canary()
    done = roll_back(world.app, MODEL, reason="looks odd")
    assert (done.version, done.previous) == (champion, challenger)
    assert world.shares == {champion: 100}
    assert world.aliases == {"champion": champion, "default": champion}
    assert world.state == "ROLLED_BACK"


def test_rollback_brings_the_last_champion_back_and_may_be_killed_before_it_is_recorded(
    world: RolloutWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    champion, challenger = world.versions
    world.start_canary(share=50)
    world.serve(60)
    world.tick()
    assert world.aliases["champion"] == challenger

    with monkeypatch.context() as patch:
        patch.setattr("etl.ledger.Ledger.append", _unavailable)
        with pytest.raises(UnavailableError):
            roll_back(world.app, MODEL)
    done = roll_back(world.app, MODEL)
    assert (done.version, done.previous) == (champion, challenger)
    assert world.shares == {champion: 100}
    assert world.aliases == {"champion": champion, "default": champion}
    assert world.history[-1] == ("roll_back", champion, 100)
    with pytest.raises(StateError, match="there was no champion before version"):
        roll_back(world.app, MODEL)
    # A version by name may come back even so.
    assert roll_back(world.app, MODEL, to=challenger).version == challenger
    assert world.aliases["champion"] == challenger


def test_old_versions_go_with_their_bigquery_models_but_none_that_is_needed(world: RolloutWorld) -> None:
    champion, second = world.versions
    third, fourth = world._train(3), world._train(4)
    run = world.run(4)
    retention = run.policy.retention.model_copy(update={"versions": 2})
    run.__dict__["policy"] = run.policy.model_copy(update={"retention": retention})
    assert prune_versions(run) == [second]
    assert prune_versions(run) == []
    assert [version.version_id for version in world.app.registry.versions(MODEL)] == [champion, third, fourth]
    models = {model.model_id for model in world.app.bigquery.list_models(world.app.settings.dataset)}
    assert models == {f"{MODEL}__2026_11_{day:02d}__logistic_reg" for day in (1, 3, 4)}


def advice_now(world: RolloutWorld) -> list[Advice]:
    """What `bqloop status` says of the world's runs."""
    rows = world.app.ledger(MODEL).read("recent_runs")
    return advise(rows, [], Serving(None, {}), now=dt.datetime.now(dt.UTC))


def advice_on_endpoint(world: RolloutWorld) -> list[Advice]:
    """What `bqloop status` says of registry and endpoint, no run's own trouble among it."""
    champion = world.app.registry.champion(MODEL)
    serving = Serving(champion.version_id if champion else None, world.shares)
    history = world.app.ledger(MODEL).read("production_history")
    return advise([], history, serving, now=dt.datetime.now(dt.UTC))


def pubsub_event(message: dict[str, str]) -> CloudEvent:
    """A push of Pub/Sub to a function."""
    told = {
        "data": base64.b64encode(message["data"].encode()).decode(),
        "messageId": "1",
        "publishTime": "2026-11-21T05:00:00Z",
    }
    return CloudEvent(
        {"type": "google.cloud.pubsub.topic.v1.messagePublished", "source": "//pubsub.googleapis.com/x"},
        {"message": told},
    )


def _unavailable(*_: object, **__: object) -> None:
    raise UnavailableError("killed")
