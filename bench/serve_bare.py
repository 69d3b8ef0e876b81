"""What /score is measured against: an app that does nothing but ask the same endpoint about ready-made features."""

from functools import cache
from typing import Any

from fastapi import FastAPI

from deployment.endpoint import Endpoint
from etl.settings import load_settings

app = FastAPI()


@cache
def endpoint() -> Endpoint:
    settings = load_settings()
    return Endpoint(settings, settings.models[0])


@app.post("/predict")
def predict(body: dict[str, Any]) -> dict[str, Any]:
    answer = endpoint().predict(body["instances"])
    return {"version": answer.version_id, "predictions": answer.predictions}
