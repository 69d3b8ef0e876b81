"""ML.EXPLAIN_PREDICT, ML.GLOBAL_EXPLAIN and ML.FEATURE_IMPORTANCE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from ..errors import BqmlError
from ..explanation import attributions
from ..linear import probabilities
from ..metrics import predicted_codes
from ..model import Model
from ..scoring import supervised
from ..trees import TreeLearner
from .arguments import checked, threshold_of
from .streaming import Data, transformed

ATTRIBUTIONS = pa.list_(pa.struct([("feature", pa.string()), ("attribution", pa.float64())]))


def explain_predict(model: Model, data: Data, options: Mapping[str, Any]) -> Data:
    """The prediction, the features that weighed most in it (largest magnitude first), then the input's columns."""
    allowed = {
        "top_k_features": int,
        "threshold": float,
        "approx_feature_contrib": bool,
        "trial_id": int,
    }
    settings = checked("EXPLAIN_PREDICT", options, allowed)
    fit = model.fit_of(settings.get("trial_id"))
    scorer = supervised(fit.learner)
    top = settings.get("top_k_features", 5)
    if top < 1:
        raise BqmlError(f"Setting 'top_k_features' of ML.EXPLAIN_PREDICT must be at least 1, got {top}.")
    approximate = settings.get("approx_feature_contrib", False)
    if approximate and not isinstance(scorer, TreeLearner):
        raise BqmlError("Setting 'approx_feature_contrib' of ML.EXPLAIN_PREDICT can only be used with tree models.")
    classes = model.classes.count if model.classes else 0
    threshold = threshold_of(settings, "EXPLAIN_PREDICT", classes)
    label = f"predicted_{model.label_name}"
    fields = [pa.field(label, model.classes.values.type if model.classes else pa.float64())]
    if model.classes:
        fields.append(pa.field("probability", pa.float64()))
    fields += [
        pa.field("top_feature_attributions", ATTRIBUTIONS),
        *(pa.field(n, pa.float64()) for n in ("baseline_prediction_value", "prediction_value", "approximation_error")),
    ]
    schema = pa.schema([*fields, *data.schema])

    def work(batch: pa.RecordBatch) -> pa.RecordBatch:
        own = model.aligned(batch)
        margins = scorer.margins(model.encoder, own)
        rows = np.arange(len(margins))
        columns: list[pa.Array] = []
        if model.classes:
            chances = probabilities(margins)
            codes = predicted_codes(chances, threshold)
            columns = [model.classes.values.take(pa.array(codes)), pa.array(chances[rows, codes])]
            values = margins[rows, codes] if classes > 2 else margins[:, 0] * np.where(codes == 1, -1.0, 1.0)
        else:
            codes = np.zeros(len(margins), dtype=np.int64)
            values = margins[:, 0]
            columns = [pa.array(values)]
        found = attributions(scorer, model.encoder, own, approximate=approximate)
        shares, baseline = found.of_class(codes, classes)
        columns += [
            _top(found.features, shares, top),
            pa.array(baseline),
            pa.array(values),
            pa.array(np.abs(baseline + shares.sum(axis=1) - values) if approximate else np.zeros(len(values))),
        ]
        return pa.RecordBatch.from_arrays([*columns, *batch.columns], schema=schema)

    model.encoder.inputs(model.aligned(data.schema.empty_table()))
    return transformed(data, schema, work, side_by_side=False)


def _top(features: list[str], shares: Any, top: int) -> pa.Array:
    count = min(top, len(features))
    order = np.argsort(-np.abs(shares), axis=1, kind="stable")[:, :count]
    names = pa.array(features, pa.string()).take(pa.array(order.ravel()))
    values = pa.array(np.take_along_axis(shares, order, axis=1).ravel())
    pairs = pa.StructArray.from_arrays([names, values], names=["feature", "attribution"])
    return pa.ListArray.from_arrays(pa.array(np.arange(len(order) + 1, dtype=np.int32) * count), pairs)


def global_explain(model: Model, options: Mapping[str, Any]) -> pa.Table:
    """The mean absolute attribution of each feature, largest first; ``class_level_explain`` = by class."""
    settings = checked("GLOBAL_EXPLAIN", options, {"class_level_explain": bool, "trial_id": int})
    fit = model.fit_of(settings.get("trial_id"))
    supervised(fit.learner)
    if fit.attributions is None:
        raise BqmlError(
            "The input model was not explained when it was created: train with ENABLE_GLOBAL_EXPLAIN = TRUE."
        )
    by_class = settings.get("class_level_explain", False)
    if by_class and model.classes is None:
        raise BqmlError(
            "Setting 'class_level_explain' of ML.GLOBAL_EXPLAIN can only be used with a classification model."
        )
    rows = [
        (label, feature, value)
        for label, shares in fit.attributions.items()
        if (label != "") == by_class
        for feature, value in sorted(shares.items(), key=lambda pair: -pair[1])
    ]
    columns: dict[str, pa.Array] = {}
    if by_class:
        columns["class_label"] = pa.array([r[0] for r in rows], pa.string())
    columns["feature"] = pa.array([r[1] for r in rows], pa.string())
    columns["attribution"] = pa.array([r[2] for r in rows], pa.float64())
    return pa.table(columns)


def feature_importance(model: Model, options: Mapping[str, Any]) -> pa.Table:
    """XGBoost's importance of each input: number of splits, mean gain and mean cover of them."""
    settings = checked("FEATURE_IMPORTANCE", options, {"trial_id": int})
    learner = model.fit_of(settings.get("trial_id")).learner
    if not isinstance(learner, TreeLearner):
        raise BqmlError(f"ML.FEATURE_IMPORTANCE can only be used with tree models, not with {model.model_type}.")
    sources = model.encoder.matrix_sources()
    splits, gains, covers = (learner.importance(kind) for kind in ("weight", "total_gain", "total_cover"))
    names = [encoding.name for encoding in model.encoder.encodings]
    weight, gain, cover = (dict.fromkeys(names, 0.0) for _ in range(3))
    for column, source in enumerate(sources):
        weight[source] += splits.get(column, 0.0)
        gain[source] += gains.get(column, 0.0)
        cover[source] += covers.get(column, 0.0)
    return pa.table(
        {
            "feature": pa.array(names, pa.string()),
            "importance_weight": pa.array([weight[n] for n in names], pa.float64()),
            "importance_gain": pa.array([gain[n] / weight[n] if weight[n] else 0.0 for n in names], pa.float64()),
            "importance_cover": pa.array([cover[n] / weight[n] if weight[n] else 0.0 for n in names], pa.float64()),
        }
    )
