"""What a restart and a kill leave behind: everything answered, and no operation that hangs."""

import contextlib
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from google.api_core.exceptions import Cancelled, GoogleAPICallError, NotFound
from google.longrunning import operations_pb2
from google.protobuf import duration_pb2

from tests.unit.infra.local.vertex.world import PARENT, Clients, World

REPOSITORY = Path(__file__).parents[5]

# Serves until killed; deploying takes as long as the first argument says.
SERVE = """
import sys, time
from pathlib import Path
from tests.unit.infra.local.vertex.constant_model import ConstantModel, PROJECT
from infra.local.vertex import VertexServer
server = VertexServer(Path(sys.argv[2]), project=PROJECT, load_model=ConstantModel, operation_seconds=float(sys.argv[1]))
server.start()
print(server.endpoint, flush=True)
time.sleep(600)
"""


@contextlib.contextmanager
def served(state: Path, operation_seconds: float):  # type: ignore[no-untyped-def]
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(operation_seconds), str(state)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process, Clients(process.stdout.readline().strip())
    finally:
        process.kill()
        process.communicate()


def operation_of(clients: Clients, name: str) -> operations_pb2.Operation:
    return clients.endpoints.get_operation(request={"name": name})


def test_a_restart_keeps_models_endpoints_and_what_is_deployed(world: World) -> None:
    world.register("m1", aliases=["champion"], labels={"run": "r1"})
    endpoint = world.create_endpoint()
    world.deploy(endpoint, "champion", {"0": 100}, id="11").result(timeout=10)
    before = world.clients.endpoints.get_endpoint(name=endpoint)
    model = world.clients.models.get_model(name=world.model())
    world.server.stop()
    world.server.start()
    assert world.clients.endpoints.get_endpoint(name=endpoint) == before
    assert world.clients.models.get_model(name=world.model("champion")) == model
    assert world.predict(endpoint).deployed_model_id == "11"


def test_a_state_folder_that_was_moved_serves_from_its_new_place(tmp_path: Path) -> None:
    world = World(tmp_path / "before")
    world.register("m1")
    endpoint = world.create_endpoint()
    world.deploy(endpoint, "1", {"0": 100}, id="11").result(timeout=10)
    world.server.stop()
    (tmp_path / "before").rename(tmp_path / "after")
    moved = World(tmp_path / "after")
    assert moved.predict(endpoint).deployed_model_id == "11"
    moved.server.stop()


def test_an_operation_that_runs_at_a_stop_is_finished_after_the_start(tmp_path: Path) -> None:
    world = World(tmp_path, operation_seconds=0.5)
    world.register("m1")
    endpoint = world.create_endpoint()
    operation = world.deploy(endpoint, "1", {"0": 100}, id="11").operation
    assert not operation.done
    world.server.stop()
    world.server.start()
    waited = world.clients.endpoints.wait_operation(
        request=operations_pb2.WaitOperationRequest(name=operation.name, timeout=duration_pb2.Duration(seconds=10))
    )
    assert waited.done
    assert world.predict(endpoint).deployed_model_id == "11"
    world.server.stop()


def test_a_kill_in_the_middle_of_a_deployment_leaves_it_to_be_finished(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.register("m1", probability=0.9)
    world.register("m2", probability=0.2)
    endpoint = world.create_endpoint()
    world.deploy(endpoint, "1", {"0": 100}, id="11").result(timeout=10)
    world.server.stop()
    state = tmp_path / "state"
    with served(state, operation_seconds=600) as (process, clients):
        operation = clients.endpoints.deploy_model(
            endpoint=endpoint,
            deployed_model={
                "id": "22",
                "model": world.model("2"),
                "dedicated_resources": {"machine_spec": {"machine_type": "n1-standard-2"}, "min_replica_count": 1},
            },
            traffic_split={"0": 100},
        ).operation
        process.send_signal(signal.SIGKILL)
        process.wait()
    with served(state, operation_seconds=0.5) as (_, clients):
        assert not operation_of(clients, operation.name).done
        answer = clients.predictions.predict(endpoint=endpoint, instances=[{"x": 1.0}])
        assert answer.deployed_model_id == "11", "the champion serves while the deployment is under way"
        deadline = time.monotonic() + 20
        while not operation_of(clients, operation.name).done and time.monotonic() < deadline:
            time.sleep(0.05)
        assert operation_of(clients, operation.name).HasField("response")
        answer = clients.predictions.predict(endpoint=endpoint, instances=[{"x": 1.0}])
        assert (answer.deployed_model_id, answer.model_version_id) == ("22", "2")


def test_a_kill_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with served(state, operation_seconds=0.01) as (process, clients):
        names = [
            clients.endpoints.create_endpoint(parent=PARENT, endpoint={"display_name": f"E{number}"}).result().name
            for number in range(20)
        ]
        process.send_signal(signal.SIGKILL)
        process.wait()
    with served(state, operation_seconds=0.01) as (_, clients):
        assert {endpoint.name for endpoint in clients.endpoints.list_endpoints(parent=PARENT)} == set(names)


def test_a_model_whose_files_are_gone_after_a_restart_does_not_take_the_others_down(world: World) -> None:
    world.register("m1")
    world.register("m2")
    endpoint = world.create_endpoint()
    world.deploy(endpoint, "1", {"0": 100}, id="11").result(timeout=10)
    world.deploy(endpoint, "2", {"0": 0, "11": 100}, id="22").result(timeout=10)
    (world.folder / "models" / "m2" / "model.json").unlink()
    world.server.stop()
    world.server.start()
    assert world.predict(endpoint).deployed_model_id == "11"


def test_waiting_ends_with_the_operation_or_with_the_callers_patience(tmp_path: Path) -> None:
    world = World(tmp_path, operation_seconds=0.6)
    world.register("m1")
    operation = world.deploy(world.create_endpoint(), "1", {"0": 100}).operation
    done = []
    for timeout in (duration_pb2.Duration(nanos=200_000_000), duration_pb2.Duration(seconds=20)):
        request = operations_pb2.WaitOperationRequest(name=operation.name, timeout=timeout)
        done.append(world.clients.endpoints.wait_operation(request=request).done)
    assert done == [False, True]
    world.server.stop()


def test_a_cancelled_deployment_ends_and_deploys_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, operation_seconds=0.4)
    world.register("m1")
    endpoint = world.create_endpoint()
    operation = world.deploy(endpoint, "1", {"0": 100})
    # Operation.cancel() of the REST clients raises KeyError before it sends anything; the service client's works.
    world.clients.endpoints.cancel_operation(request={"name": operation.operation.name})
    with pytest.raises(Cancelled):
        operation.result(timeout=10)
    time.sleep(0.6)  # longer than the deployment would have taken
    assert not world.clients.endpoints.get_endpoint(name=endpoint).deployed_models
    world.server.stop()


def test_two_deployments_whose_splits_exclude_each_other_do_not_both_succeed(tmp_path: Path) -> None:
    world = World(tmp_path, operation_seconds=0.2)
    world.register("m1")
    endpoint = world.create_endpoint()
    world.deploy(endpoint, "1", {"0": 100}, id="11").result(timeout=10)
    deploying = world.deploy(endpoint, "1", {"0": 10, "11": 90}, id="22")
    undeploying = world.clients.endpoints.undeploy_model(endpoint=endpoint, deployed_model_id="11")
    outcomes = []
    for operation in (deploying, undeploying):
        try:
            operation.result(timeout=10)
            outcomes.append("done")
        except GoogleAPICallError:
            outcomes.append("failed")
    assert sorted(outcomes) == ["done", "failed"]
    left = world.clients.endpoints.get_endpoint(name=endpoint)
    assert set(left.traffic_split) <= {model.id for model in left.deployed_models}
    world.server.stop()


def test_an_id_that_two_deployments_ask_for_at_once_is_given_to_one(tmp_path: Path) -> None:
    world = World(tmp_path, operation_seconds=0.2)
    world.register("m1")
    endpoint = world.create_endpoint()
    outcomes = []
    for operation in [world.deploy(endpoint, "1", {"0": 100}, id="11") for _ in range(2)]:
        try:
            outcomes.append(operation.result(timeout=10).deployed_model.id)
        except GoogleAPICallError as error:
            outcomes.append(error.message)
    assert min(outcomes) == "11"
    assert "already exists" in max(outcomes)
    assert len(world.clients.endpoints.get_endpoint(name=endpoint).deployed_models) == 1
    world.server.stop()


def test_operations_can_be_listed_and_a_finished_one_forgotten(world: World) -> None:
    endpoint = world.create_endpoint()
    client = world.clients.endpoints
    (operation,) = client.list_operations(request={"name": endpoint}).operations
    assert operation.done
    client.delete_operation(request={"name": operation.name})
    with pytest.raises(NotFound):
        client.get_operation(request={"name": operation.name})


def test_a_deployment_says_how_far_it_is(tmp_path: Path) -> None:
    world = World(tmp_path, operation_seconds=0.3)
    world.register("m1")
    operation = world.deploy(world.create_endpoint(), "1", {"0": 100})
    assert operation.metadata.deployment_stage.name == "STARTING_DEPLOYMENT"
    operation.result(timeout=10)
    assert operation.metadata.deployment_stage.name == "SUCCESSFULLY_DEPLOYED"
    world.server.stop()
