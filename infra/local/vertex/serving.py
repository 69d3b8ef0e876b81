"""What answers predictions: the deployed models in memory and, for each endpoint, who gets which share.

This is the hot path, so it reads only memory. The state on disk is the truth; `Endpoints` puts a new `Route` here
after each change, and a restart builds all routes anew.
"""

import itertools
import json
import logging
import random
import threading
from bisect import bisect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from infra.local.model_registry import Predictor
from infra.local.vertex.errors import ApiError, invalid, not_found, precondition
from infra.local.vertex.faults import Faults, inverted
from infra.local.vertex.names import EndpointRef

_log = logging.getLogger(__name__)

# Vertex's limit for a request to a shared endpoint.
MAX_REQUEST_BYTES = 1_500_000


@dataclass(frozen=True)
class ServedModel:
    """One deployed model: its predictor (None: it could not be loaded) and what every answer says of it."""

    deployed_model_id: str
    model_version: str
    predictor: Predictor | None
    answer: Mapping[str, str]


class Route:
    """An endpoint's deployed models with their shares of the traffic."""

    def __init__(self, served: Mapping[str, ServedModel], split: Mapping[str, int]) -> None:
        self.served = served
        shares = [(served[key], share) for key, share in split.items() if share > 0]
        self._models = [model for model, _ in shares]
        self._bounds = list(itertools.accumulate(share for _, share in shares))

    def draw(self, chance: float) -> ServedModel | None:
        """The model that gets a request, for a chance from [0, 1); None when no model has traffic."""
        if not self._models:
            return None
        return self._models[bisect(self._bounds, chance * self._bounds[-1])]


class Serving:
    """The routes of all endpoints, and the predictors that they share."""

    def __init__(self, load_model: Callable[[Path], Predictor], faults: Faults) -> None:
        self._load_model = load_model
        self._faults = faults
        self._routes: dict[EndpointRef, Route] = {}
        self._predictors: dict[Path, Predictor] = {}
        self._lock = threading.Lock()
        # Seeded: a test that failed must fail again.
        self._random = random.Random(20_260_102)  # noqa: S311 - spreads load, guards nothing

    def load(self, model_dir: Path) -> Predictor:
        """Load the predictor of a model's folder as it is now, and keep it for `loaded`.

        Raises:
            ApiError: it cannot be loaded.
        """
        try:
            predictor = self._load_model(model_dir)
        except Exception as error:
            raise ApiError(
                "INTERNAL",
                f"Model server failed to load the model from {model_dir.name}: {type(error).__name__}: {error}",
            ) from error
        with self._lock:
            self._predictors[model_dir] = predictor
        return predictor

    def loaded(self, model_dir: Path) -> Predictor | None:
        """The predictor from memory, else loaded; None, and a line in the log, when it cannot be.

        Not an error, because an endpoint must come up for the sake of its other models.
        """
        with self._lock:
            known = self._predictors.get(model_dir)
        try:
            return known or self.load(model_dir)
        except ApiError:
            _log.exception("a deployed model cannot be loaded")
            return None

    def put_route(self, ref: EndpointRef, route: Route | None) -> None:
        """Serve an endpoint by a new route, or no more; predictors that no route uses are dropped."""
        routes = {key: value for key, value in self._routes.items() if key != ref}
        if route is not None:
            routes[ref] = route
        self._routes = routes
        used = {id(model.predictor) for each in routes.values() for model in each.served.values()}
        with self._lock:
            self._predictors = {path: item for path, item in self._predictors.items() if id(item) in used}

    def choose(self, ref: EndpointRef, endpoint_name: str) -> ServedModel:
        """Draw the deployed model that answers the next request to an endpoint."""
        route = self._routes.get(ref)
        if route is None:
            raise not_found(f"Endpoint `{endpoint_name}` not found.")
        chosen = route.draw(self._random.random())
        if chosen is None:
            raise precondition(f"Endpoint `{endpoint_name}` has no deployed model with traffic.")
        return chosen

    def predict(self, served: ServedModel, body: bytes) -> bytes:
        """The response body to a predict request's body."""
        if served.predictor is None:
            raise ApiError("UNAVAILABLE", f"DeployedModel {served.deployed_model_id} has no running model server.")
        instances = _read_instances(body)
        fault = self._faults.of(served.deployed_model_id, served.model_version)
        if fault is not None and self._faults.strikes(fault):
            raise ApiError("INTERNAL", "Internal error encountered.")
        try:
            predictions = served.predictor.predict_instances(instances)
        except Exception as error:
            if not isinstance(error, ValueError) and getattr(error, "reason", None) != "invalid":
                raise
            # The model server's own answer is what Vertex hands on as the message.
            raise invalid(json.dumps({"error": str(error)})) from error
        if fault is not None and fault.invert_scores:
            predictions = inverted(predictions)
        return json.dumps({"predictions": predictions, **served.answer}, allow_nan=False).encode()

    def delay_seconds(self, served: ServedModel) -> float:
        """How long a fault holds this model's answers back."""
        fault = self._faults.of(served.deployed_model_id, served.model_version)
        return fault.delay_seconds if fault else 0.0


def _read_instances(body: bytes) -> list[dict[str, Any]]:
    if len(body) > MAX_REQUEST_BYTES:
        raise invalid(f"Request payload size exceeds the limit: {MAX_REQUEST_BYTES} bytes.")
    try:
        request = from_json(body)
    except ValueError as error:
        raise invalid(f"Invalid JSON payload received: {error}.") from error
    instances = request.get("instances") if isinstance(request, dict) else None
    if not isinstance(instances, list) or not instances:
        raise invalid("The request must be a JSON object with a non-empty list `instances`.")
    if request.get("parameters"):
        raise invalid("The local Vertex AI does not support `parameters`: models of BigQuery ML take none.")
    for index, instance in enumerate(instances):
        if not isinstance(instance, dict):
            raise invalid(json.dumps({"error": f"Instance {index} must be a JSON object of features by name."}))
    return instances
