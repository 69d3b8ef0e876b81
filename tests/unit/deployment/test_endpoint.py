"""Deploying, sharing traffic and undeploying, through Google's own clients; any call may come twice or be killed."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from google.api_core import exceptions as api

from deployment.endpoint import Endpoint, probability_of
from deployment.smoke import smoke_test
from etl.errors import StateError, StillRunning, UnavailableError
from etl.warehouse import Deadline
from tests.unit.deployment.conftest import Cloud
from tests.unit.infra.local.vertex.world import World


def test_without_an_endpoint_nothing_is_deployed(cloud: Cloud) -> None:
    assert cloud.endpoint.deployed() == {}


def test_the_first_version_takes_all_traffic_whatever_share_is_asked_for(cloud: Cloud) -> None:
    version = cloud.register("r1")
    cloud.endpoint.deploy(version, share=10)
    assert cloud.shares == {"1": 100}


def test_a_second_version_is_deployed_beside_the_first_with_its_share(cloud: Cloud) -> None:
    first, second = cloud.register("r1"), cloud.register("r2")
    cloud.endpoint.deploy(first, share=100)
    cloud.endpoint.deploy(second, share=10)
    assert cloud.shares == {"1": 90, "2": 10}
    assert {v: d.share for v, d in cloud.endpoint.deployed().items()} == cloud.shares


def test_shares_change_without_deploying_again_and_idle_versions_go(cloud: Cloud) -> None:
    first, second = cloud.register("r1"), cloud.register("r2")
    cloud.endpoint.deploy(first, share=100)
    cloud.endpoint.deploy(second, share=10)
    cloud.endpoint.set_share(second, 50)
    assert cloud.shares == {"1": 50, "2": 50}
    assert cloud.endpoint.undeploy_idle() == []
    cloud.endpoint.set_share(second, 100)
    assert cloud.shares == {"1": 0, "2": 100}
    assert cloud.endpoint.undeploy_idle(keep=[first]) == []
    assert cloud.endpoint.undeploy_idle() == ["1"]
    assert cloud.shares == {"2": 100}


def test_deploying_twice_is_deploying_once(cloud: Cloud) -> None:
    first, second = cloud.register("r1"), cloud.register("r2")
    cloud.endpoint.deploy(first, share=100)
    for _ in range(2):
        cloud.endpoint.deploy(second, share=10)
    endpoint = cloud.world.clients.endpoints.get_endpoint(name=cloud.endpoint.name)
    assert [d.id for d in endpoint.deployed_models] == ["1", "2"]


def test_a_call_that_runs_out_of_time_leaves_an_operation_that_the_next_call_waits_for(cloud: Cloud) -> None:
    version = cloud.register("r1")
    cloud.world.server.stop()
    slow = World(cloud.world.folder, operation_seconds=1.0)
    try:
        endpoint = Endpoint(
            cloud.settings.model_copy(
                update={"endpoints": cloud.settings.endpoints.model_copy(update={"vertex": slow.server.endpoint})}
            ),
            "deals",
        )
        for _ in range(2):
            with pytest.raises(StillRunning, match="still running; the next call attaches"):
                endpoint.deploy(version, share=100, deadline=Deadline.after(0.1))
        endpoint.deploy(version, share=100)
        deployed = slow.clients.endpoints.get_endpoint(name=endpoint.name).deployed_models
        assert [d.id for d in deployed] == ["1"]
    finally:
        slow.server.stop()


def test_killed_at_any_request_the_next_call_ends_in_the_same_state(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = cloud.register("r1"), cloud.register("r2")
    cloud.endpoint.deploy(first, share=100)
    client = cloud.vertex.endpoints
    names = ["get_endpoint", "create_endpoint", "list_operations", "deploy_model", "get_operation", "update_endpoint"]
    real = {name: getattr(client, name) for name in names}
    state = {"left": 0, "after": False}

    def mortal(name: str) -> object:
        def call(*args: object, **kwargs: object) -> object:
            state["left"] = int(state["left"]) - 1
            if state["left"] < 0 and not state["after"]:
                raise api.ServiceUnavailable("killed before the request")
            answer = real[name](*args, **kwargs)
            if state["left"] < 0:
                raise api.ServiceUnavailable("killed before the answer")
            return answer

        return call

    for name in names:
        monkeypatch.setattr(client, name, mortal(name))
    finished = 0
    for requests in range(12):
        for after in (False, True):
            state.update(left=requests, after=after)
            try:
                cloud.endpoint.deploy(second, share=25)
                finished += 1
            except UnavailableError:
                continue
    assert finished > 0
    assert cloud.shares == {"1": 75, "2": 25}
    endpoint = cloud.world.clients.endpoints.get_endpoint(name=cloud.endpoint.name)
    assert [d.id for d in endpoint.deployed_models] == ["1", "2"]


def test_the_answer_tells_which_version_gave_it(cloud: Cloud) -> None:
    cloud.endpoint.deploy(cloud.register("r1", probability=0.25), share=100)
    answer = cloud.endpoint.predict([{"x": 1.0}, {"x": 2}])
    assert answer.version_id == "1"
    assert [row["label_probs"] for row in answer.predictions] == [[0.25, 0.75]] * 2


def test_instances_that_the_model_refuses_are_no_reason_to_try_again(cloud: Cloud) -> None:
    cloud.endpoint.deploy(cloud.register("r1"), share=100)
    with pytest.raises(StateError, match="features must be: x"):
        cloud.endpoint.predict([{"y": 1.0}])


def test_a_number_that_json_does_not_know_never_leaves(cloud: Cloud) -> None:
    cloud.endpoint.deploy(cloud.register("r1"), share=100)
    with pytest.raises(ValueError, match="line 1"):
        cloud.endpoint.predict([{"x": float("nan")}])


def test_an_endpoint_is_cleared_of_all_versions_whoever_left_them_there(cloud: Cloud) -> None:
    cloud.endpoint.clear()  # there is none yet
    first, second = cloud.register("r1"), cloud.register("r2")
    cloud.endpoint.deploy(first, share=100)
    cloud.endpoint.deploy(second, share=100)
    assert cloud.shares == {first: 0, second: 100}
    cloud.endpoint.clear()
    assert cloud.shares == {}


@pytest.mark.parametrize("fails", [False, True])
def test_a_smoke_test_clears_away_what_a_killed_one_has_left(cloud: Cloud, fails: bool) -> None:
    left, tried = cloud.register("r1"), cloud.register("r2", probability=0.25)
    cloud.endpoint.deploy(left, share=100)
    rows = [{"instance": '{"x": 1.0}', "expected": 0.5 if fails else 0.25}]
    asked: Any = {"label": "label", "positive": 1, "tolerance": 0.01}
    with pytest.raises(StateError, match="failed its smoke test") if fails else contextlib.nullcontext():
        smoke_test(cloud.endpoint, tried, rows, **asked)
    assert cloud.shares == {}


@pytest.mark.parametrize("put_back", [False, True])
def test_what_is_refused_since_others_took_the_version_away_may_be_tried_again(cloud: Cloud, put_back: bool) -> None:
    version, endpoint = cloud.register("r1"), cloud.endpoint
    endpoint.deploy(version, share=100)

    def ask_while_others_are_at_it() -> None:
        endpoint.undeploy(version)
        try:
            endpoint.predict([{"x": 1.0}])
        finally:
            if put_back:
                endpoint.deploy(version, share=100)

    with pytest.raises(UnavailableError, match="taken off"), endpoint.unless_taken_away(version):
        ask_while_others_are_at_it()


def test_what_is_refused_while_the_version_stays_is_refused_for_good(cloud: Cloud) -> None:
    version, endpoint = cloud.register("r1"), cloud.endpoint
    endpoint.deploy(version, share=100)
    with pytest.raises(StateError, match="features must be: x"), endpoint.unless_taken_away(version):
        endpoint.predict([{"y": 1.0}])


def test_a_version_that_is_not_deployed_cannot_get_traffic(cloud: Cloud) -> None:
    with pytest.raises(StateError, match="version 3 is not deployed"):
        cloud.endpoint.set_share("3", 10)


def test_a_version_that_does_not_exist_is_refused_for_good(cloud: Cloud) -> None:
    cloud.register("r1")
    with pytest.raises(StateError, match="Vertex AI refuses, deploying version 9"):
        cloud.endpoint.deploy("9", share=100)


def test_three_versions_share_in_proportion(cloud: Cloud) -> None:
    versions = [cloud.register(name) for name in ("r1", "r2", "r3")]
    cloud.endpoint.deploy(versions[0], share=100)
    cloud.endpoint.deploy(versions[1], share=30)
    cloud.endpoint.deploy(versions[2], share=5)
    # 95 percent are left for 70 and 30: 66.5 and 28.5, rounded down, and what is over goes to the larger one.
    assert cloud.shares == {"1": 67, "2": 28, "3": 5}


def test_the_probability_is_found_by_its_value_wherever_it_stands() -> None:
    assert probability_of({"y_probs": [0.9, 0.1], "y_values": ["false", "true"]}, "y", True) == 0.1
    assert probability_of({"y_probs": [0.3, 0.7], "y_values": ["1", "0"]}, "y", 1) == 0.3
    with pytest.raises(StateError, match="no probability"):
        probability_of({"y_probs": [1.0], "y_values": ["x"]}, "y", True)
