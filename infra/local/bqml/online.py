"""Online prediction as Vertex AI serves a BigQuery ML model: JSON instances in, JSON rows out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from .bigquery_types import is_list, is_numeric
from .design import Floats
from .errors import BqmlError
from .kmeans import KMeansLearner, points_of
from .linear import probabilities
from .metrics import predicted_codes
from .model import Model
from .online_numbers import OnlineNumbers
from .pca import PcaLearner
from .scoring import supervised
from .trees import TreeLearner


class OnlinePredictor:
    """Holds what every request needs. Thread-safe: nothing changes after construction."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._names = [field.name for field in model.features]
        self._known = set(self._names)
        self._trees = isinstance(model.fit.learner, TreeLearner)
        self._numbers = OnlineNumbers.of(model)
        self._labels = model.classes.texts() if model.classes is not None else []

    def predict(self, instances: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """One row an instance. Raises BqmlError(invalid) that names the instance and field at fault.

        A tree model wants exactly the trained features in each instance; other models take a missing one for NULL and
        leave unknown ones unread.
        """
        if not instances:
            return []
        for index, instance in enumerate(instances):
            self._check(index, instance)
        margins = self._numbers.margins(instances) if self._numbers is not None else None
        if margins is not None:
            return self._answers(margins)
        columns = [
            _column(field, [instance.get(field.name) for instance in instances]) for field in self._model.features
        ]
        batch = pa.RecordBatch.from_arrays(columns, schema=self._model.features)
        return self._rows(batch)

    def _check(self, index: int, instance: Any) -> None:
        if not isinstance(instance, Mapping):
            raise BqmlError(f"Instance {index} must be an object of feature values.", reason="invalid")
        if not self._trees or instance.keys() == self._known:
            return
        missing = [name for name in self._names if name not in instance]
        if missing:
            raise BqmlError(f"Instance {index} lacks the feature {missing[0]!r}.", reason="invalid")
        unknown = [name for name in instance if name not in self._known]
        if unknown:
            raise BqmlError(f"Instance {index} has the unknown feature {unknown[0]!r}.", reason="invalid")

    def _rows(self, batch: pa.RecordBatch) -> list[dict[str, Any]]:
        model = self._model
        learner = model.fit.learner
        if isinstance(learner, KMeansLearner):
            distance = learner.distances(points_of(model.encoder.design(batch, intercept=False)))
            order = np.argsort(distance, axis=1, kind="stable")
            return [
                {
                    "CENTROID_ID": [int(near[0]) + 1],
                    "NEAREST_CENTROID_ID": (near + 1).tolist(),
                    "CENTROID_DISTANCE": row[near].tolist(),
                }
                for near, row in zip(order, distance, strict=True)
            ]
        if isinstance(learner, PcaLearner):
            projected = learner.project(model.encoder.design(batch, intercept=False))
            return [{f"principal_component_{i + 1}": v for i, v in enumerate(row)} for row in projected.tolist()]
        return self._answers(supervised(learner).margins(model.encoder, batch))

    def _answers(self, margins: Floats) -> list[dict[str, Any]]:
        """The rows of a supervised model."""
        model = self._model
        label = model.label_name
        if model.classes is None:
            values = margins[:, 0].tolist()
            return [{f"predicted_{label}": value if self._trees else [value]} for value in values]
        chances = probabilities(margins)
        return [
            {
                f"predicted_{label}": self._labels[code] if self._trees else [self._labels[code]],
                f"{label}_probs": row,
                f"{label}_values": list(self._labels),
            }
            for code, row in zip(predicted_codes(chances).tolist(), chances.tolist(), strict=True)
        ]


def _column(field: pa.Field, values: list[Any]) -> pa.Array:
    if is_numeric(field.type):
        for value in values:
            if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
                raise _bad(field, value)
        if not pa.types.is_integer(field.type):
            # JSON has one kind of number; NUMERIC features are encoded through FLOAT64 anyhow.
            floats = pa.array([None if value is None else float(value) for value in values], pa.float64())
            return floats if pa.types.is_float64(field.type) else floats.cast(field.type, safe=False)
        if all(value is None or float(value).is_integer() for value in values):
            return pa.array([None if value is None else int(value) for value in values], field.type)
        raise _bad(field, next(v for v in values if v is not None and not float(v).is_integer()))
    if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
        for value in values:
            if value is not None and not isinstance(value, str):
                raise _bad(field, value)
        return pa.array(values, field.type)
    if pa.types.is_boolean(field.type):
        for value in values:
            if value is not None and not isinstance(value, bool):
                raise _bad(field, value)
        return pa.array(values, pa.bool_())
    try:
        if is_list(field.type) or pa.types.is_struct(field.type):
            return pa.array(values, field.type)
        return pa.array(values, pa.string()).cast(field.type)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise BqmlError(f"Feature {field.name!r}: {error}", reason="invalid") from error


def _bad(field: pa.Field, value: Any) -> BqmlError:
    kind = "a number" if is_numeric(field.type) else "a string" if not pa.types.is_boolean(field.type) else "a boolean"
    return BqmlError(f"Feature {field.name!r} must be {kind}, got {value!r}.", reason="invalid")
