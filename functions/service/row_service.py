"""The prediction service of a model of single rows: features by the SQL that trained it, the endpoint's answer, the log."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from deployment.application import Application
from deployment.endpoint import Endpoint
from deployment.stages.run import policy_of
from etl.strict_json import strict_json
from functions.service.asking import Asker, NotAnsweredError, Prediction
from functions.service.inference_log import InferenceLog
from functions.service.problems import Fault, of_fields
from functions.service.row_payloads import PredictAnswer, Predicted, PredictRequest
from functions.service.versions import ServedVersion, Versions, serving_policy_of

Row = Mapping[str, Any]


class RowService:
    """One model's service.

    Args:
        app: bqloop in this environment.
        model: The model.
    """

    def __init__(self, app: Application, model: str) -> None:
        self.model = model
        self.keys = policy_of(app.templates(model)).keys
        self._max_rows = serving_policy_of(app, model).max_rows
        endpoint = Endpoint(app.settings, model)
        self.versions = Versions(app, model, endpoint)
        self._asker = Asker(self.versions, endpoint.predict)
        self._log = InferenceLog(app.settings)

    def predict(self, request: PredictRequest, request_id: str) -> PredictAnswer:
        """Answer for each row, and have it kept what the answer was or that there was none.

        Raises:
            Problem: A row is wrong, or there are too many.
            BqloopError: No version is deployed, or the endpoint or the log cannot be reached.
        """
        started = time.perf_counter()
        if len(request.instances) > self._max_rows:
            fault = Fault("/instances", f"at most {self._max_rows} a request, there are {len(request.instances)}")
            raise of_fields([fault], HTTPStatus.UNPROCESSABLE_ENTITY)
        try:
            prediction = self._asker.ask(lambda version: self._rows(version, request.instances))
        except NotAnsweredError:
            self._confirm(request_id, started, [self._facts_of(row) for row in request.instances])
            raise
        self._confirm(request_id, started, [*self._answered(prediction)])
        return self._told(request, request_id, prediction)

    def _rows(self, version: ServedVersion, instances: Sequence[Row]) -> list[dict[str, Any]]:
        """The features of the rows, in the order in which they are asked about.

        Raises:
            Problem: A row is wrong.
        """
        program = version.row_program
        faults = [fault for n, row in enumerate(instances) for fault in program.faults(f"/instances/{n}", row)]
        names = [tuple(row.get(key) for key in program.keys) for row in instances]
        faults += [
            Fault(f"/instances/{n}", f"{', '.join(map(str, name))} is asked about twice")
            for n, name in enumerate(names)
            if name in names[:n]
        ]
        if faults:
            raise of_fields(faults[:20])
        found = {tuple(row[key] for key in program.keys): row for row in program.compute(instances)}
        left_out = [
            Fault(f"/instances/{n}", "the feature SQL leaves such a row out")
            for n, name in enumerate(names)
            if name not in found
        ]
        if left_out:
            raise of_fields(left_out[:20])
        return [found[name] for name in names]

    def _answered(self, prediction: Prediction) -> list[dict[str, Any]]:
        version = prediction.version
        said = "probability" if version.champion.policy.task == "classification" else "prediction"
        facts = {
            "version": version.version,
            "deployed_model_id": prediction.deployed_model,
            "run_id": version.run_id,
            "threshold": version.champion.threshold,
            "endpoint_ms": round(prediction.endpoint_ms, 3),
        }
        return [
            {**facts, **self._facts_of(row), "features": strict_json(instance).decode(), said: number}
            for row, instance, number in zip(
                prediction.rows, prediction.instances, prediction.probabilities, strict=True
            )
        ]

    def _facts_of(self, row: Row) -> dict[str, Any]:
        return {"row_keys": json.dumps({key: row.get(key) for key in self.keys}, default=str)}

    def _confirm(self, request_id: str, started: float, rows: Sequence[dict[str, Any]]) -> None:
        """Have every row of a request kept.

        Raises:
            UnavailableError: They cannot be kept.
        """
        facts = {
            "request_id": request_id,
            "answered_at": dt.datetime.now(dt.UTC).isoformat(),
            "route": "predict",
            "model": self.model,
            "latency_ms": round((time.perf_counter() - started) * 1e3, 3),
        }
        self._log.confirm([{**facts, "inference_id": f"{request_id}/{n}", **row} for n, row in enumerate(rows)])

    def _told(self, request: PredictRequest, request_id: str, prediction: Prediction) -> PredictAnswer:
        version, threshold = prediction.version, prediction.version.champion.threshold
        instances = prediction.instances
        predictions = []
        for place, (row, number) in enumerate(zip(prediction.rows, prediction.probabilities, strict=True)):
            said: dict[str, Any] = {"prediction": number}
            if threshold is not None:
                said = {"probability": number, "is_positive": number >= threshold}
            keys = {key: row[key] for key in self.keys}
            predictions.append(Predicted(keys=keys, features=instances[place] if request.features else None, **said))
        return PredictAnswer(
            request_id=request_id,
            model=self.model,
            version=version.version,
            deployed_model=prediction.deployed_model,
            threshold=threshold,
            predictions=predictions,
        )
