"""Metrics of a version as Vertex AI keeps them, so that its console shows them beside the version.

A copy for people who look there: the ledger is what decides, so nothing of bqloop reads these, and where Vertex AI takes
them not, that is logged and the loop goes on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import structlog
from google.cloud import aiplatform_v1

from deployment.vertex import Vertex, patience
from etl.errors import BqloopError

# Schemas that Google publishes; https://cloud.google.com/vertex-ai/docs/model-registry/import-model-evaluations
_SCHEMAS = "gs://google-cloud-aiplatform/schema/modelevaluation/"
_CLASSIFICATION = {"average_precision": "auPrc", "roc_auc": "auRoc", "log_loss": "logLoss"}
_AT_THRESHOLD = {
    "threshold": "confidenceThreshold",
    "precision": "precision",
    "recall": "recall",
    "f1_score": "f1Score",
}
_REGRESSION = {
    "root_mean_squared_error": "rootMeanSquaredError",
    "mean_absolute_error": "meanAbsoluteError",
    "r2_score": "rSquared",
}
log = structlog.get_logger(__name__)


def evaluation_of(name: str, row: Mapping[str, Any]) -> aiplatform_v1.ModelEvaluation:
    """A row of the table `metrics` under the names of Google's schema; a metric that is undefined is left out.

    Args:
        name: Display name; the same evaluation of the same version has the same one.
        row: Metrics by name, and `threshold` for a classification.
    """
    if "log_loss" not in row:
        return _evaluation(name, "regression_metrics_1.0.0.yaml", _renamed(row, _REGRESSION))
    metrics: dict[str, Any] = {**_renamed(row, _CLASSIFICATION)}
    at_threshold = _renamed(row, _AT_THRESHOLD)
    if "confidenceThreshold" in at_threshold:
        metrics["confidenceMetrics"] = [at_threshold]
    return _evaluation(name, "classification_metrics_1.0.0.yaml", metrics)


def import_evaluation(vertex: Vertex, version: str, evaluation: aiplatform_v1.ModelEvaluation) -> bool:
    """Keep an evaluation beside a version, once; Vertex AI refusing it, or being down, is logged and no error.

    Args:
        vertex: The clients.
        version: Vertex AI's full name of the version.
        evaluation: What `evaluation_of` made; known again by its display name.

    Returns:
        Whether the version has it now.
    """
    try:
        with vertex.errors_of(f"importing the evaluation {evaluation.display_name} of {version}"):
            there = vertex.models.list_model_evaluations(parent=version, **patience())
            if all(one.display_name != evaluation.display_name for one in there):
                vertex.models.import_model_evaluation(parent=version, model_evaluation=evaluation, **patience())
    except BqloopError as error:
        log.warning("Vertex AI has not taken an evaluation; the ledger has it", reason=str(error))
        return False
    return True


def _evaluation(name: str, schema: str, metrics: Mapping[str, Any]) -> aiplatform_v1.ModelEvaluation:
    return aiplatform_v1.ModelEvaluation(display_name=name, metrics_schema_uri=_SCHEMAS + schema, metrics=metrics)


def _renamed(row: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, float]:
    found = {theirs: row.get(ours) for ours, theirs in names.items()}
    return {name: float(value) for name, value in found.items() if value is not None and math.isfinite(value)}
