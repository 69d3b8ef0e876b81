"""Endpoints, deployments and traffic splits through Google's EndpointServiceClient."""

from typing import Any

import pytest
from google.api_core.exceptions import BadRequest, Conflict, GoogleAPICallError, NotFound
from google.protobuf import field_mask_pb2

from infra.local.model_registry import RegistryError
from tests.unit.infra.local.vertex.constant_model import PROJECT
from tests.unit.infra.local.vertex.world import PARENT, World, deployed


def split_of(world: World, endpoint: str) -> dict[str, int]:
    return dict(world.clients.endpoints.get_endpoint(name=endpoint).traffic_split)


def set_split(world: World, endpoint: str, split: dict[str, int], **fields: Any) -> None:
    world.clients.endpoints.update_endpoint(
        endpoint={"name": endpoint, "traffic_split": split, **fields},
        update_mask=field_mask_pb2.FieldMask(paths=["traffic_split"]),
    )


@pytest.fixture
def two_deployed(world: World) -> tuple[World, str]:
    """An endpoint with deployed model 11 (version 1, 90 %) and 22 (version 2, 10 %)."""
    world.register("m1")
    world.register("m2")
    endpoint = world.create_endpoint()
    world.deploy(endpoint, "1", {"0": 100}, id="11").result(timeout=10)
    world.deploy(endpoint, "2", {"0": 10, "11": 90}, id="22").result(timeout=10)
    return world, endpoint


def test_a_new_endpoint_is_found_by_id_list_and_filter_and_then_deleted(world: World) -> None:
    client = world.clients.endpoints
    created = client.create_endpoint(
        parent=PARENT, endpoint={"display_name": "Deals", "labels": {"env": "local"}}, endpoint_id="deals"
    ).result(timeout=10)
    assert client.get_endpoint(name=f"{PARENT}/endpoints/deals") == created
    assert list(client.list_endpoints(request={"parent": PARENT, "filter": 'display_name="Deals"'})) == [created]
    assert list(client.list_endpoints(request={"parent": PARENT, "filter": "labels.env=prod"})) == []
    client.delete_endpoint(name=created.name).result(timeout=10)
    with pytest.raises(NotFound):
        client.get_endpoint(name=created.name)


def test_an_endpoint_without_an_id_gets_a_number(world: World) -> None:
    operation = world.clients.endpoints.create_endpoint(parent=PARENT, endpoint={"display_name": "Deals"})
    assert operation.result(timeout=10).name.rpartition("/")[2].isdigit()


def test_an_endpoint_id_can_be_used_once(world: World) -> None:
    world.create_endpoint()
    with pytest.raises(Conflict) as refused:
        world.create_endpoint()
    assert refused.value.response.json()["error"]["status"] == "ALREADY_EXISTS"


@pytest.mark.parametrize("endpoint_id", ["Deals", "-deals", "0123", "1234567890", "x" * 64])
def test_a_malformed_endpoint_id_is_refused(world: World, endpoint_id: str) -> None:
    with pytest.raises(BadRequest, match="endpoint_id"):
        world.create_endpoint(endpoint_id)


def test_deploying_takes_the_version_the_alias_is_on_and_gives_it_its_share(world: World) -> None:
    world.register("m1")
    world.register("m2", aliases=["challenger"])
    endpoint = world.create_endpoint()
    response = world.deploy(endpoint, "challenger", {"0": 100}).result(timeout=10)
    deployed_model = response.deployed_model
    assert (deployed_model.model_version_id, deployed_model.display_name) == ("2", "deals")
    assert split_of(world, endpoint) == {deployed_model.id: 100}
    model = world.clients.models.get_model(name=world.model("2"))
    assert [(ref.endpoint.rpartition("/")[2], ref.deployed_model_id) for ref in model.deployed_models] == [
        ("deals", deployed_model.id)
    ]
    assert not world.clients.models.get_model(name=world.model("1")).deployed_models


def test_deploying_without_a_split_leaves_the_traffic_where_it_is(world: World) -> None:
    world.register("m1")
    endpoint = world.create_endpoint()
    world.deploy(endpoint, "1", None, id="11").result(timeout=10)
    assert split_of(world, endpoint) == {}
    world.deploy(endpoint, "1", {"11": 100, "0": 0}, id="22").result(timeout=10)
    assert split_of(world, endpoint) == {"11": 100, "22": 0}


@pytest.mark.parametrize(
    ("split", "complaint"),
    [
        ({"0": 99}, "add up to 100, got 99"),
        ({"0": 50, "77": 50}, "not deployed on this Endpoint: 77"),
        ({"0": -10, "11": 110}, "between 0 and 100"),
        ({"33": 100}, '"0"'),
    ],
)
def test_a_deployment_with_a_wrong_split_is_refused_at_once(
    two_deployed: tuple[World, str], split: dict[str, int], complaint: str
) -> None:
    world, endpoint = two_deployed
    with pytest.raises(BadRequest, match=complaint):
        world.deploy(endpoint, "1", split, id="33")


@pytest.mark.parametrize(
    ("split", "complaint"),
    [({"11": 100, "22": 1}, "got 101"), ({"33": 100}, "33"), ({"0": 10, "11": 90}, "not deployed on this Endpoint: 0")],
)
def test_an_update_with_a_wrong_split_is_refused_and_changes_nothing(
    two_deployed: tuple[World, str], split: dict[str, int], complaint: str
) -> None:
    world, endpoint = two_deployed
    with pytest.raises(BadRequest, match=complaint):
        set_split(world, endpoint, split)
    assert split_of(world, endpoint) == {"11": 90, "22": 10}


def test_traffic_moves_by_update_and_can_be_taken_away_altogether(two_deployed: tuple[World, str]) -> None:
    world, endpoint = two_deployed
    set_split(world, endpoint, {"22": 100})
    assert split_of(world, endpoint) == {"22": 100}
    set_split(world, endpoint, {})
    assert split_of(world, endpoint) == {}
    with pytest.raises(BadRequest, match="no deployed model with traffic"):
        world.predict(endpoint)


def test_an_etag_keeps_two_writers_from_overwriting_each_other(two_deployed: tuple[World, str]) -> None:
    world, endpoint = two_deployed
    read = world.clients.endpoints.get_endpoint(name=endpoint)
    set_split(world, endpoint, {"11": 50, "22": 50}, etag=read.etag)
    with pytest.raises(Conflict, match="etag") as refused:
        set_split(world, endpoint, {"22": 100}, etag=read.etag)
    assert refused.value.response.json()["error"]["status"] == "ABORTED"
    assert split_of(world, endpoint) == {"11": 50, "22": 50}


def test_a_model_with_traffic_is_not_undeployed_unless_the_call_moves_the_traffic(
    two_deployed: tuple[World, str],
) -> None:
    world, endpoint = two_deployed
    undeploy = world.clients.endpoints.undeploy_model
    with pytest.raises(BadRequest, match="has 90% of the traffic"):
        undeploy(endpoint=endpoint, deployed_model_id="11")
    with pytest.raises(BadRequest, match="must not give traffic"):
        undeploy(endpoint=endpoint, deployed_model_id="11", traffic_split={"11": 10, "22": 90})
    undeploy(endpoint=endpoint, deployed_model_id="11", traffic_split={"22": 100}).result(timeout=10)
    left = world.clients.endpoints.get_endpoint(name=endpoint)
    assert ([model.id for model in left.deployed_models], dict(left.traffic_split)) == (["22"], {"22": 100})


def test_the_last_model_can_be_undeployed_with_its_traffic(two_deployed: tuple[World, str]) -> None:
    world, endpoint = two_deployed
    undeploy = world.clients.endpoints.undeploy_model
    undeploy(endpoint=endpoint, deployed_model_id="22", traffic_split={"11": 100}).result(timeout=10)
    undeploy(endpoint=endpoint, deployed_model_id="11").result(timeout=10)
    assert split_of(world, endpoint) == {}
    with pytest.raises(NotFound, match="not deployed"):
        undeploy(endpoint=endpoint, deployed_model_id="11")


def test_an_endpoint_with_models_is_not_deleted(two_deployed: tuple[World, str]) -> None:
    world, endpoint = two_deployed
    with pytest.raises(BadRequest, match="undeploy them") as refused:
        world.clients.endpoints.delete_endpoint(name=endpoint)
    assert refused.value.response.json()["error"]["status"] == "FAILED_PRECONDITION"


def test_a_deployed_version_goes_neither_in_bigquery_nor_in_vertex(two_deployed: tuple[World, str]) -> None:
    world, endpoint = two_deployed
    with pytest.raises(RegistryError, match=r"deployed or being deployed at the following Endpoint.*endpoints/deals"):
        world.server.registry.unregister(f"{PROJECT}.ds.m2")
    with pytest.raises(BadRequest, match="deployed or being deployed"):
        world.clients.models.delete_model_version(name=world.model("2"))
    world.clients.endpoints.undeploy_model(endpoint=endpoint, deployed_model_id="22", traffic_split={"11": 100}).result(
        timeout=10
    )
    world.server.registry.unregister(f"{PROJECT}.ds.m2")


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"dedicated_resources": {"min_replica_count": 1}}, "machineType"),
        ({"dedicated_resources": {"machine_spec": {"machine_type": "n1-standard-2"}}}, "min_replica_count"),
        ({"id": "12345678901"}, "deployed_model.id"),
        ({"explanation_spec": {"parameters": {"top_k": 3}}}, "explanationSpec"),
        ({"id": "11"}, "already exists"),
    ],
)
def test_what_vertex_would_refuse_or_this_cannot_do_is_refused(
    two_deployed: tuple[World, str], fields: dict[str, Any], complaint: str
) -> None:
    world, endpoint = two_deployed
    with pytest.raises((BadRequest, Conflict), match=complaint):
        world.deploy(endpoint, "1", None, **fields)


def test_automatic_resources_are_refused_as_vertex_refuses_them_for_these_models(world: World) -> None:
    world.register("m1")
    with pytest.raises(BadRequest, match="automatic_resources"):
        world.clients.endpoints.deploy_model(
            endpoint=world.create_endpoint(),
            deployed_model={"model": world.model("1"), "automatic_resources": {"min_replica_count": 1}},
        )


def test_replica_counts_can_be_mutated(two_deployed: tuple[World, str]) -> None:
    world, endpoint = two_deployed
    mutated = deployed(world.model("1")) | {"id": "11"}
    mutated["dedicated_resources"] = {"min_replica_count": 2, "max_replica_count": 5}
    world.clients.endpoints.mutate_deployed_model(
        endpoint=endpoint,
        deployed_model=mutated,
        update_mask=field_mask_pb2.FieldMask(
            paths=["dedicated_resources.min_replica_count", "dedicated_resources.max_replica_count"]
        ),
    ).result(timeout=10)
    resources = world.clients.endpoints.get_endpoint(name=endpoint).deployed_models[0].dedicated_resources
    assert (resources.min_replica_count, resources.max_replica_count) == (2, 5)
    assert resources.machine_spec.machine_type == "n1-standard-2"


def test_a_model_that_cannot_be_loaded_fails_its_operation_and_leaves_the_endpoint_as_it_was(
    two_deployed: tuple[World, str],
) -> None:
    world, endpoint = two_deployed
    version = world.register("m3")
    (world.folder / "models" / "m3" / "model.json").write_text("not json")
    operation = world.deploy(endpoint, version, {"0": 100})
    with pytest.raises(GoogleAPICallError, match="failed to load"):
        operation.result(timeout=10)
    assert split_of(world, endpoint) == {"11": 90, "22": 10}
    assert world.predict(endpoint).deployed_model_id in {"11", "22"}
