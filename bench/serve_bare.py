"""What /score is measured against: an app that does nothing but ask the same endpoint about ready-made features.

By Google's client, as its samples have it; and under /lean by the plain request that bqloop makes.
"""

from functools import cache
from typing import Any

from fastapi import FastAPI
from google.cloud import aiplatform_v1
from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Value

from deployment.endpoint import Endpoint
from etl.settings import load_settings

app = FastAPI()


@cache
def endpoint() -> Endpoint:
    settings = load_settings()
    return Endpoint(settings, settings.models[0])


@cache
def client() -> aiplatform_v1.PredictionServiceClient:
    options = {"api_endpoint": load_settings().endpoints.vertex}
    return aiplatform_v1.PredictionServiceClient(transport="rest", client_options=options)


@app.post("/predict")
def predict(body: dict[str, Any]) -> dict[str, Any]:
    instances = [ParseDict(instance, Value()) for instance in body["instances"]]
    answer = client().predict(endpoint=endpoint().name, instances=instances)
    return {
        "version": answer.model_version_id,
        "predictions": aiplatform_v1.PredictResponse.to_dict(answer)["predictions"],
    }


@app.post("/lean")
def lean(body: dict[str, Any]) -> dict[str, Any]:
    answer = endpoint().predict(body["instances"])
    return {"version": answer.version_id, "predictions": answer.predictions}
