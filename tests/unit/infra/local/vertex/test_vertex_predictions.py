"""Predictions through Google's PredictionServiceClient: who answers, what it says, and how it fails."""

import time
from collections import Counter

import pytest
from google.api_core.exceptions import BadRequest, InternalServerError, MethodNotImplemented, NotFound
from google.protobuf import struct_pb2

from infra.local.vertex import Fault
from tests.unit.infra.local.vertex.world import PARENT, World


@pytest.fixture
def endpoint(world: World) -> str:
    """Version 1 answers 0.9 with 70 % of the traffic as 11, version 2 answers 0.2 with 30 % as 22."""
    world.register("m1", probability=0.9)
    world.register("m2", probability=0.2)
    name = world.create_endpoint()
    world.deploy(name, "1", {"0": 100}, id="11").result(timeout=10)
    world.deploy(name, "2", {"0": 30, "11": 70}, id="22").result(timeout=10)
    return name


def probability(response: object) -> float:
    return float(response.predictions[0]["label_probs"][0])  # type: ignore[attr-defined]


def test_an_answer_says_which_version_gave_it(world: World, endpoint: str) -> None:
    answers = {response.deployed_model_id: response for response in (world.predict(endpoint) for _ in range(60))}
    assert set(answers) == {"11", "22"}
    assert {key: (answer.model_version_id, probability(answer)) for key, answer in answers.items()} == {
        "11": ("1", 0.9),
        "22": ("2", 0.2),
    }
    assert answers["11"].model == f"projects/{world.server.project_number}/locations/us-central1/models/deals"
    assert answers["11"].model_display_name == "deals"


def test_requests_are_drawn_by_the_traffic_split(world: World, endpoint: str) -> None:
    counts = Counter(world.predict(endpoint).deployed_model_id for _ in range(500))
    # 500 draws at 0.3: mean 150, standard deviation sqrt(500 * 0.3 * 0.7) = 10.2; five of them either side.
    assert 99 <= counts["22"] <= 201
    assert counts.total() == 500


def test_every_instance_gets_a_prediction(world: World, endpoint: str) -> None:
    assert len(world.predict(endpoint, {"x": 1.0}, {"x": 2.0}, {"x": 3.0}).predictions) == 3


def test_a_large_request_is_answered_too(world: World, endpoint: str) -> None:
    instances = [{"x": float(number)} for number in range(10_000)]
    assert len(world.predict(endpoint, *instances).predictions) == 10_000


def test_a_request_over_the_limit_of_vertex_is_refused(world: World, endpoint: str) -> None:
    with pytest.raises(BadRequest, match="exceeds the limit"):
        world.predict(endpoint, {"x": "y" * 1_600_000})


def test_an_instance_that_does_not_fit_the_model_is_refused_with_the_model_servers_words(
    world: World, endpoint: str
) -> None:
    with pytest.raises(BadRequest, match="process element: 1 of 'instances'") as refused:
        world.predict(endpoint, {"x": 1.0}, {"y": 1.0})
    assert refused.value.response.json()["error"]["status"] == "INVALID_ARGUMENT"


def test_an_empty_request_and_one_that_is_no_object_are_refused(world: World, endpoint: str) -> None:
    with pytest.raises(BadRequest, match="instances"):
        world.clients.predictions.predict(endpoint=endpoint, instances=[])
    with pytest.raises(BadRequest, match="Instance 0"):
        world.clients.predictions.predict(endpoint=endpoint, instances=[struct_pb2.Value(number_value=1.0)])


def test_an_endpoint_that_is_not_there_is_not_found(world: World) -> None:
    with pytest.raises(NotFound, match="endpoints/none"):
        world.predict(f"{PARENT}/endpoints/none")


def test_raw_predictions_and_explanations_are_refused_by_name(world: World, endpoint: str) -> None:
    with pytest.raises(MethodNotImplemented, match=":rawPredict"):
        world.clients.predictions.raw_predict(endpoint=endpoint)
    with pytest.raises(MethodNotImplemented, match=":explain"):
        world.clients.predictions.explain(endpoint=endpoint, instances=[struct_pb2.Value(number_value=1.0)])


def test_a_fault_makes_a_share_of_one_models_answers_fail(world: World, endpoint: str) -> None:
    world.server.faults.set("22", Fault(error_share=0.5))
    failed, answered = 0, Counter[str]()
    for _ in range(400):
        try:
            answered[world.predict(endpoint).deployed_model_id] += 1
        except InternalServerError:
            failed += 1
    # Half of 30 % of 400 is 60, standard deviation sqrt(400 * 0.15 * 0.85) = 7.1; five of them either side.
    assert 24 <= failed <= 96
    assert answered["11"] > 200
    world.server.faults.clear("22")
    assert {world.predict(endpoint).deployed_model_id for _ in range(60)} == {"11", "22"}


def test_a_fault_set_on_a_version_holds_once_that_is_deployed(world: World, endpoint: str) -> None:
    world.register("m3", probability=0.8)
    world.server.faults.set("deals@3", Fault(invert_scores=True))
    world.deploy(endpoint, "3", {"0": 100}).result(timeout=10)
    response = world.predict(endpoint)
    assert probability(response) == pytest.approx(1 - 0.8)
    assert list(response.predictions[0]["predicted_label"]) == ["0"]


def test_a_fault_can_delay_answers_without_delaying_the_others(world: World, endpoint: str) -> None:
    world.server.faults.set("22", Fault(delay_seconds=0.3))
    took: dict[str, float] = {}
    while set(took) != {"11", "22"}:
        began = time.perf_counter()
        answered = world.predict(endpoint).deployed_model_id
        took[answered] = time.perf_counter() - began
    assert took["22"] >= 0.3 > took["11"]


def test_faults_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="error_share"):
        Fault(error_share=1.5)
    with pytest.raises(ValueError, match="delay_seconds"):
        Fault(delay_seconds=-1)
