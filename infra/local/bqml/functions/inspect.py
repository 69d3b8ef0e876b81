"""What a model is made of: ML.WEIGHTS, ML.ADVANCED_WEIGHTS, ML.CENTROIDS, ML.PRINCIPAL_COMPONENTS and _INFO."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from ..columns import CATEGORY, MULTI, NUMERIC
from ..design import Floats
from ..encoder import Encoder
from ..errors import BqmlError
from ..kmeans import KMeansLearner
from ..linear import LinearLearner
from ..model import Model
from ..pca import PcaLearner
from .arguments import checked

INTERCEPT = "__INTERCEPT__"
CATEGORY_WEIGHTS = pa.list_(pa.struct([("category", pa.string()), ("weight", pa.float64())]))
CATEGORICAL_VALUE = pa.list_(pa.struct([("category", pa.string()), ("value", pa.float64())]))


def weights(model: Model, options: Mapping[str, Any]) -> pa.Table:
    """A row an input (more than two classes: an input and class), the intercept last."""
    settings = checked("WEIGHTS", options, {"standardize": bool, "trial_id": int})
    learner = _linear(model, "WEIGHTS", settings.get("trial_id"))
    values = learner.weights if settings.get("standardize", False) else learner.raw_weights(model.encoder)
    rows: list[dict[str, Any]] = []
    labels = model.classes.texts() if model.classes is not None and model.classes.count > 2 else [None]
    for output, label in enumerate(labels):
        found = _weight_rows(model.encoder, values[:, output], learner.intercept)
        rows.extend({**row, "class_label": label} for row in found)
    columns = {
        "processed_input": pa.array([r["processed_input"] for r in rows], pa.string()),
        "weight": pa.array([r["weight"] for r in rows], pa.float64()),
        "category_weights": pa.array([r["category_weights"] for r in rows], CATEGORY_WEIGHTS),
    }
    if labels != [None]:
        columns["class_label"] = pa.array([r["class_label"] for r in rows], pa.string())
    return _trial_first(model, settings, columns)


def _weight_rows(encoder: Encoder, column: Floats, intercept: bool) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    by_name = {encoding.name: (encoding, start, stop) for encoding, start, stop in encoder.layout()}
    for listed in encoder.encodings:
        encoding, start, stop = by_name[listed.name]
        part = column[start:stop].tolist()
        if encoding.kind == NUMERIC:
            rows.append({"processed_input": encoding.name, "weight": part[0], "category_weights": []})
            continue
        if encoding.kind in (CATEGORY, MULTI):
            pairs = dict(zip(encoding.slots(), part, strict=True))
            if encoding.dropped is not None:
                pairs[encoding.dropped] = 0.0
        else:
            pairs = {str(index): value for index, value in enumerate(part)}
        listing = [{"category": category, "weight": weight} for category, weight in pairs.items()]
        rows.append({"processed_input": encoding.name, "weight": None, "category_weights": listing})
    if intercept:
        rows.append({"processed_input": INTERCEPT, "weight": float(column[-1]), "category_weights": []})
    return rows


def advanced_weights(model: Model, options: Mapping[str, Any]) -> pa.Table:
    """A row a weight, with its standard error and p-value."""
    settings = checked("ADVANCED_WEIGHTS", options, {"standardize": bool})
    learner = _linear(model, "ADVANCED_WEIGHTS", None)
    standardize = settings.get("standardize", False)
    values = (learner.weights if standardize else learner.raw_weights(model.encoder))[:, 0]
    errors, p_values = learner.p_values(model.encoder, standardize=standardize)
    rows: list[tuple[str, str | None, float, float | None, float | None]] = []
    for encoding, start, _ in model.encoder.layout():
        if encoding.dropped is not None:
            rows.append((encoding.name, encoding.dropped, 0.0, None, None))
        for offset, slot in enumerate(encoding.slots()):
            at = start + offset
            category = slot if encoding.kind != NUMERIC else None
            rows.append((encoding.name, category, float(values[at]), float(errors[at]), float(p_values[at])))
    if learner.intercept:
        rows.append((INTERCEPT, None, float(values[-1]), float(errors[-1]), float(p_values[-1])))
    names = ("processed_input", "category", "weight", "standard_error", "p_value")
    types = (pa.string(), pa.string(), pa.float64(), pa.float64(), pa.float64())
    return pa.table({n: pa.array([r[i] for r in rows], types[i]) for i, n in enumerate(names)})


def centroids(model: Model, options: Mapping[str, Any]) -> pa.Table:
    """A row a centroid and feature: numbers in their own unit, categories with their share of the cluster."""
    settings = checked("CENTROIDS", options, {"standardize": bool, "trial_id": int})
    learner = model.fit_of(settings.get("trial_id")).learner
    if not isinstance(learner, KMeansLearner):
        raise BqmlError(f"ML.CENTROIDS can only be used with a KMEANS model, not with {model.model_type}.")
    raw = not settings.get("standardize", False)
    rows = [
        {"centroid_id": index + 1, **row}
        for index, center in enumerate(learner.centroids)
        for row in _component_rows(model.encoder, center, raw=raw, sparse=True)
    ]
    columns = {"centroid_id": pa.array([r["centroid_id"] for r in rows], pa.int64()), **_value_columns(rows)}
    return _trial_first(model, settings, columns)


def principal_components(model: Model, options: Mapping[str, Any]) -> pa.Table:
    """A row a component and feature."""
    checked("PRINCIPAL_COMPONENTS", options, {})
    learner = _pca(model, "PRINCIPAL_COMPONENTS")
    rows = [
        {"principal_component_id": index, **row}
        for index, component in enumerate(learner.components)
        for row in _component_rows(model.encoder, component, raw=False, sparse=False)
    ]
    ids = pa.array([r["principal_component_id"] for r in rows], pa.int64())
    return pa.table({"principal_component_id": ids, **_value_columns(rows)})


def principal_component_info(model: Model, options: Mapping[str, Any]) -> pa.Table:
    """A row a component: how much variance it explains, alone and with those before it."""
    checked("PRINCIPAL_COMPONENT_INFO", options, {})
    learner = _pca(model, "PRINCIPAL_COMPONENT_INFO")
    ratio = learner.eigenvalues / learner.total
    return pa.table(
        {
            "principal_component_id": pa.array(np.arange(len(ratio)), pa.int64()),
            "eigenvalue": pa.array(learner.eigenvalues),
            "explained_variance_ratio": pa.array(ratio),
            "cumulative_explained_variance_ratio": pa.array(np.cumsum(ratio)),
        }
    )


def _component_rows(encoder: Encoder, vector: Floats, *, raw: bool, sparse: bool) -> list[dict[str, Any]]:
    by_name = {encoding.name: (start, stop) for encoding, start, stop in encoder.layout()}
    rows: list[dict[str, Any]] = []
    for encoding in encoder.encodings:
        start, stop = by_name[encoding.name]
        part = vector[start:stop].astype(np.float64)
        if encoding.kind == NUMERIC:
            number = float(part[0])
            if raw and encoder.standardize:
                number = number * encoding.std + encoding.mean
            rows.append({"feature": encoding.name, "numerical_value": number, "categorical_value": []})
            continue
        if encoding.kind in (CATEGORY, MULTI):
            names = [str(slot) for slot in encoding.slots()]
        else:
            names = [str(index) for index in range(encoding.width)]
            if raw and encoder.standardize and encoding.stds:
                part = part * encoding.stds + encoding.means
        pairs = [
            {"category": name, "value": value}
            for name, value in zip(names, part.tolist(), strict=True)
            if value != 0.0 or not sparse
        ]
        rows.append({"feature": encoding.name, "numerical_value": None, "categorical_value": pairs})
    return rows


def _value_columns(rows: list[dict[str, Any]]) -> dict[str, pa.Array]:
    return {
        "feature": pa.array([r["feature"] for r in rows], pa.string()),
        "numerical_value": pa.array([r["numerical_value"] for r in rows], pa.float64()),
        "categorical_value": pa.array([r["categorical_value"] for r in rows], CATEGORICAL_VALUE),
    }


def _linear(model: Model, function: str, trial_id: int | None) -> LinearLearner:
    learner = model.fit_of(trial_id).learner
    if not isinstance(learner, LinearLearner):
        raise BqmlError(f"ML.{function} can only be used with a linear or logistic regression model.")
    return learner


def _pca(model: Model, function: str) -> PcaLearner:
    if not isinstance(model.fit.learner, PcaLearner):
        raise BqmlError(f"ML.{function} can only be used with a PCA model, not with {model.model_type}.")
    return model.fit.learner


def _trial_first(model: Model, settings: Mapping[str, Any], columns: Mapping[str, pa.Array]) -> pa.Table:
    if not model.trials:
        return pa.table(dict(columns))
    trial = settings.get("trial_id", model.optimal_trial)
    n = len(next(iter(columns.values())))
    return pa.table({"trial_id": pa.array([trial] * n, pa.int64()), **columns})
