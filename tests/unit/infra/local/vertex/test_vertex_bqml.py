"""A model that the local BigQuery ML trained answers at an endpoint what ML.PREDICT says of the same rows."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from google.api_core.exceptions import BadRequest

from infra.local import bqml
from infra.local.vertex import Fault, VertexServer
from tests.unit.infra.local.vertex.constant_model import PROJECT
from tests.unit.infra.local.vertex.world import PARENT, Clients, deployed

ROWS = 400


def training_data() -> pa.Table:
    random = np.random.default_rng(7)
    price, overlap = random.normal(size=ROWS), random.uniform(size=ROWS)
    brand = random.choice(["acme", "globex", "initech"], size=ROWS)
    label = (overlap + 0.2 * price + (brand == "acme") * 0.3 + random.normal(size=ROWS) * 0.2 > 0.6).astype(int)
    return pa.table({"price_gap": price, "overlap": overlap, "brand": brand, "label": label})


@pytest.fixture(scope="module", params=["LOGISTIC_REG", "BOOSTED_TREE_CLASSIFIER"])
def trained(request: pytest.FixtureRequest) -> bqml.Model:
    spec = bqml.ModelSpec.of({"model_type": request.param, "input_label_cols": ["label"]})
    return bqml.train(spec, training_data())


@pytest.fixture
def endpoint(trained: bqml.Model, tmp_path: Path) -> Iterator[tuple[VertexServer, Clients, str]]:
    trained.save(tmp_path / "model")
    server = VertexServer(tmp_path / "vertex", project=PROJECT, load_model=bqml.Model.load)
    server.start()
    server.registry.register(
        project=PROJECT,
        location="US",
        vertex_ai_model_id="deals",
        aliases=["champion"],
        bigquery_model=f"{PROJECT}.ds.m",
        model_dir=tmp_path / "model",
        model_type=trained.model_type,
        labels={},
    )
    clients = Clients(server.endpoint)
    name = clients.endpoints.create_endpoint(parent=PARENT, endpoint={"display_name": "Deals"}).result(timeout=10).name
    clients.endpoints.deploy_model(
        endpoint=name,
        deployed_model=deployed(f"{PARENT}/models/deals@champion"),
        traffic_split={"0": 100},
    ).result(timeout=10)
    yield server, clients, name
    server.stop()


def probabilities(prediction: Any) -> dict[str, float]:
    """By label: the values and the probabilities pair up by position."""
    return dict(zip(prediction["label_values"], prediction["label_probs"], strict=True))


def test_the_endpoint_says_what_ml_predict_says(
    trained: bqml.Model, endpoint: tuple[VertexServer, Clients, str]
) -> None:
    _, clients, name = endpoint
    rows = training_data().slice(0, 20).drop_columns("label")
    answer = clients.predictions.predict(endpoint=name, instances=rows.to_pylist())
    expected = bqml.call("PREDICT", trained, rows, {})
    table = expected if isinstance(expected, pa.Table) else expected.read_all()
    for prediction, row in zip(answer.predictions, table.to_pylist(), strict=True):
        wanted = {str(item["label"]): item["prob"] for item in row["predicted_label_probs"]}
        assert probabilities(prediction) == pytest.approx(wanted, abs=1e-9)
        predicted = prediction["predicted_label"]
        assert str(predicted if isinstance(predicted, str) else predicted[0]) == str(row["predicted_label"])


def test_a_feature_of_the_wrong_type_is_the_callers_fault(endpoint: tuple[VertexServer, Clients, str]) -> None:
    _, clients, name = endpoint
    with pytest.raises(BadRequest, match="price_gap"):
        clients.predictions.predict(endpoint=name, instances=[{"price_gap": "dear", "overlap": 0.5, "brand": "acme"}])


def test_an_inverted_model_gives_each_class_the_others_probability(
    endpoint: tuple[VertexServer, Clients, str],
) -> None:
    server, clients, name = endpoint
    instance = {"price_gap": 0.1, "overlap": 0.9, "brand": "acme"}

    def ask() -> Any:
        return clients.predictions.predict(endpoint=name, instances=[instance]).predictions[0]

    honest = ask()
    server.faults.set("deals@1", Fault(invert_scores=True))
    inverted = ask()
    assert probabilities(inverted) == {"1": probabilities(honest)["0"], "0": probabilities(honest)["1"]}
    assert inverted["predicted_label"] != honest["predicted_label"]
