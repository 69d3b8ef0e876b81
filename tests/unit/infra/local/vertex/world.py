"""A local Vertex AI whose models are a line of JSON, and Google's own clients that speak to it."""

import json
from pathlib import Path
from typing import Any

from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import aiplatform_v1

from infra.local.vertex import VertexServer
from tests.unit.infra.local.vertex.constant_model import PROJECT, ConstantModel

LOCATION = "us-central1"
PARENT = f"projects/{PROJECT}/locations/{LOCATION}"


class Clients:
    """Google's clients for one server."""

    def __init__(self, endpoint: str) -> None:
        options: dict[str, Any] = {
            "transport": "rest",
            "credentials": AnonymousCredentials(),
            "client_options": ClientOptions(api_endpoint=endpoint),
        }
        self.models = aiplatform_v1.ModelServiceClient(**options)
        self.endpoints = aiplatform_v1.EndpointServiceClient(**options)
        self.predictions = aiplatform_v1.PredictionServiceClient(**options)


class World:
    """A server, its clients, and what most tests need of them."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.folder = folder
        self.server = VertexServer(folder / "state", project=PROJECT, load_model=ConstantModel, **options)
        self.server.start()
        self.clients = Clients(self.server.endpoint)

    def register(self, name: str = "m1", *, probability: float = 0.9, **options: Any) -> str:
        model_dir = self.folder / "models" / name
        model_dir.mkdir(parents=True, exist_ok=True)
        (model_dir / "model.json").write_text(json.dumps(probability))
        given: dict[str, Any] = {
            "project": PROJECT,
            "location": "US",
            "vertex_ai_model_id": "deals",
            "aliases": [],
            "bigquery_model": f"{PROJECT}.ds.{name}",
            "model_dir": model_dir,
            "model_type": "LOGISTIC_REGRESSION",
            "labels": {},
        }
        return self.server.registry.register(**(given | options))

    def model(self, version: str = "") -> str:
        return f"{PARENT}/models/deals" + (f"@{version}" if version else "")

    def create_endpoint(self, endpoint_id: str = "deals") -> str:
        operation = self.clients.endpoints.create_endpoint(
            parent=PARENT, endpoint={"display_name": "Deals"}, endpoint_id=endpoint_id
        )
        operation.result(timeout=10)
        return f"{PARENT}/endpoints/{endpoint_id}"

    def deploy(self, endpoint: str, version: str, split: dict[str, int] | None, **fields: Any) -> Any:
        deployed_model = deployed(self.model(version)) | fields
        return self.clients.endpoints.deploy_model(
            endpoint=endpoint, deployed_model=deployed_model, traffic_split=split
        )

    def predict(self, endpoint: str, *instances: dict[str, Any]) -> aiplatform_v1.PredictResponse:
        return self.clients.predictions.predict(endpoint=endpoint, instances=list(instances) or [{"x": 1.0}])


def deployed(model: str) -> dict[str, Any]:
    machine = {"machine_type": "n1-standard-2"}
    return {"model": model, "dedicated_resources": {"machine_spec": machine, "min_replica_count": 1}}
