"""ML.PREDICT of every model type, a batch of rows at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from ..errors import BqmlError
from ..fitted import Fit
from ..kmeans import KMeansLearner, points_of
from ..labels import Classes
from ..linear import probabilities
from ..metrics import predicted_codes
from ..model import Model
from ..pca import PcaLearner
from ..scoring import supervised
from .arguments import checked, threshold_of
from .streaming import ROWS, Data, transformed

NEAREST = 5
Columns = dict[str, pa.Array]


def predict(model: Model, data: Data, options: Mapping[str, Any]) -> Data:
    """Prediction columns, then the input's. Raises BqmlError on a missing feature or one of another type."""
    settings = checked("PREDICT", options, {"threshold": float, "trial_id": int, "keep_original_columns": bool})
    fit = model.fit_of(settings.get("trial_id"))
    if "keep_original_columns" in settings and model.model_type != "PCA":
        raise BqmlError("Setting 'keep_original_columns' of ML.PREDICT can only be used with a PCA model.")
    keep = True if model.model_type != "PCA" else settings.get("keep_original_columns", True)
    compute, fields = _plan(model, fit, settings)
    schema = pa.schema([*fields, *data.schema]) if keep else pa.schema(fields)

    def work(batch: pa.RecordBatch) -> pa.RecordBatch:
        found = compute(model.aligned(batch))
        columns = [found[field.name] for field in fields]
        return pa.RecordBatch.from_arrays([*columns, *batch.columns] if keep else columns, schema=schema)

    model.encoder.inputs(model.aligned(data.schema.empty_table()))
    return transformed(data, schema, work, side_by_side=not model.spec.trees)


def _plan(
    model: Model, fit: Fit, settings: Mapping[str, Any]
) -> tuple[Callable[[pa.RecordBatch], Columns], list[pa.Field]]:
    learner = fit.learner
    if isinstance(learner, KMeansLearner):
        return _kmeans_plan(model, learner, settings)
    if isinstance(learner, PcaLearner):
        names = [f"principal_component_{i + 1}" for i in range(len(learner.components))]

        def project(batch: pa.RecordBatch) -> Columns:
            scores = learner.project(model.encoder.design(batch, intercept=False))
            return {name: pa.array(scores[:, i]) for i, name in enumerate(names)}

        return project, [pa.field(name, pa.float64()) for name in names]
    scorer = supervised(learner)
    label = model.label_name
    if model.classes is None:
        if "threshold" in settings:
            raise BqmlError("Setting 'threshold' of ML.PREDICT can only be used with a binary classification model.")

        def regress(batch: pa.RecordBatch) -> Columns:
            return {f"predicted_{label}": pa.array(scorer.margins(model.encoder, batch)[:, 0])}

        return regress, [pa.field(f"predicted_{label}", pa.float64())]
    threshold = threshold_of(settings, "PREDICT", model.classes.count)
    listing = ProbabilityLists(model.classes)

    def classify(batch: pa.RecordBatch) -> Columns:
        chances = probabilities(scorer.margins(model.encoder, batch))
        codes = predicted_codes(chances, threshold)
        return {
            f"predicted_{label}": listing.classes.values.take(pa.array(codes)),
            f"predicted_{label}_probs": listing.of(chances),
        }

    return classify, [
        pa.field(f"predicted_{label}", model.classes.values.type),
        pa.field(f"predicted_{label}_probs", listing.type),
    ]


class ProbabilityLists:
    """Builds ``ARRAY<STRUCT<label, prob>>`` columns; the labels and offsets, always the same, are built once."""

    def __init__(self, classes: Classes) -> None:
        self.classes = classes
        self._labels = classes.values.take(pa.array(np.tile(np.arange(classes.count), ROWS)))
        self._offsets = pa.array(np.arange(ROWS + 1, dtype=np.int32) * classes.count)
        self.type = pa.list_(pa.struct([("label", classes.values.type), ("prob", pa.float64())]))

    def of(self, chances: Any) -> pa.Array:
        """The column of (n × classes) probabilities."""
        n = len(chances)
        if n > ROWS:
            return pa.concat_arrays([self.of(chances[start : start + ROWS]) for start in range(0, n, ROWS)])
        labels = self._labels.slice(0, n * self.classes.count)
        pairs = pa.StructArray.from_arrays([labels, pa.array(np.ravel(chances))], names=["label", "prob"])
        return pa.ListArray.from_arrays(self._offsets.slice(0, n + 1), pairs).cast(self.type)


def _kmeans_plan(
    model: Model, learner: KMeansLearner, settings: Mapping[str, Any]
) -> tuple[Callable[[pa.RecordBatch], Columns], list[pa.Field]]:
    if "threshold" in settings:
        raise BqmlError("Setting 'threshold' of ML.PREDICT can only be used with a binary classification model.")
    pair = pa.struct([("CENTROID_ID", pa.int64()), ("DISTANCE", pa.float64())])
    width = min(len(learner.centroids), NEAREST)

    def assign(batch: pa.RecordBatch) -> Columns:
        distance = learner.distances(points_of(model.encoder.design(batch, intercept=False)))
        order = np.argsort(distance, axis=1, kind="stable")[:, :width]
        near = np.take_along_axis(distance, order, axis=1)
        pairs = pa.StructArray.from_arrays([pa.array(order.ravel() + 1), pa.array(near.ravel())], fields=list(pair))
        offsets = pa.array(np.arange(len(order) + 1, dtype=np.int32) * width)
        return {
            "CENTROID_ID": pa.array(order[:, 0] + 1),
            "NEAREST_CENTROIDS_DISTANCE": pa.ListArray.from_arrays(offsets, pairs),
        }

    return assign, [pa.field("CENTROID_ID", pa.int64()), pa.field("NEAREST_CENTROIDS_DISTANCE", pa.list_(pair))]
