"""Evaluations beside a version in Vertex AI: there once, read back with Google's own client, and never in the way."""

from __future__ import annotations

import math
from typing import Any

import pytest
from google.api_core import exceptions as api
from google.cloud import aiplatform_v1

from deployment.vertex_evaluations import evaluation_of
from tests.unit.deployment.conftest import Cloud

ROW = {
    "name": "tree",
    "split": "validation",
    "threshold": 0.25,
    "average_precision": 0.75,
    "roc_auc": 0.875,
    "log_loss": 0.5,
    "precision": math.nan,  # nothing is predicted positive
    "recall": 0.0,
    "f1_score": None,
}


def evaluations(cloud: Cloud, version: str) -> list[aiplatform_v1.ModelEvaluation]:
    """What stands beside a version, read with Google's own client."""
    return list(cloud.world.clients.models.list_model_evaluations(parent=cloud.world.model(version)))


def test_an_evaluation_stands_beside_its_version_alone_under_the_names_of_googles_schema(cloud: Cloud) -> None:
    other, version = cloud.register("r1"), cloud.register("r2")
    assert cloud.registry.put_evaluation("deals", version, "run-r2-tree-validation", ROW)
    (found,) = evaluations(cloud, version)
    assert found.display_name == "run-r2-tree-validation"
    assert found.metrics_schema_uri.endswith("/classification_metrics_1.0.0.yaml")
    metrics: Any = found.metrics
    assert {name: metrics[name] for name in ("auPrc", "auRoc", "logLoss")} == {
        "auPrc": 0.75,
        "auRoc": 0.875,
        "logLoss": 0.5,
    }
    (at_threshold,) = metrics["confidenceMetrics"]
    assert dict(at_threshold) == {"confidenceThreshold": 0.25, "recall": 0.0}
    assert evaluations(cloud, other) == []


def test_the_same_evaluation_is_imported_once_and_another_beside_it(cloud: Cloud) -> None:
    version = cloud.register("r1")
    for name in ("validation", "validation", "test"):
        assert cloud.registry.put_evaluation("deals", version, name, ROW)
    assert [one.display_name for one in evaluations(cloud, version)] == ["validation", "test"]


def test_a_regression_is_told_by_its_own_schema() -> None:
    evaluation = evaluation_of("r", {"mean_absolute_error": 1.5, "r2_score": 0.5, "row_count": 9})
    metrics: Any = evaluation.metrics
    assert evaluation.metrics_schema_uri.endswith("/regression_metrics_1.0.0.yaml")
    assert dict(metrics) == {"meanAbsoluteError": 1.5, "rSquared": 0.5}


@pytest.mark.parametrize("error", [api.InvalidArgument("not for this model"), api.PermissionDenied("no")])
def test_a_refusal_is_told_and_stops_nothing(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, error: api.GoogleAPICallError
) -> None:
    version = cloud.register("r1")

    def refuse(**_: object) -> None:
        raise error

    monkeypatch.setattr(cloud.vertex.models, "import_model_evaluation", refuse)
    assert not cloud.registry.put_evaluation("deals", version, "validation", ROW)
    assert evaluations(cloud, version) == []
