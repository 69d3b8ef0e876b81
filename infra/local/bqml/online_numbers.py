"""Instances of a model whose inputs are all plain numbers, taken to the learner without a column of Arrow each.

An endpoint is asked for one row at a time, and then the columns cost several times what the model does. This must give bit
for bit what the columns give; what it does not take as it is (a wrong type, a number too large) it leaves to them, and so
to their messages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from .columns import NUMERIC
from .design import Floats
from .linear import LinearLearner
from .model import Model
from .trees import TreeLearner

_PLAIN = {int, float, type(None)}
# Beyond this a whole number of JSON need not be one of FLOAT64.
_EXACT = 2.0**53


class OnlineNumbers:
    """Margins of instances for one model. Thread-safe: nothing changes after construction."""

    def __init__(self, model: Model, learner: LinearLearner | TreeLearner) -> None:
        self._learner = learner
        self._names = [field.name for field in model.features]
        self._whole = [place for place, field in enumerate(model.features) if pa.types.is_integer(field.type)]
        self._decimals: dict[pa.DataType, list[int]] = {}
        for place, field in enumerate(model.features):
            if pa.types.is_decimal(field.type):
                self._decimals.setdefault(field.type, []).append(place)
        encodings = model.encoder.encodings
        self._means = np.array([encoding.mean for encoding in encodings])
        scaled = model.encoder.standardize
        self._shift = self._means if scaled else np.zeros(len(encodings))
        self._scale = np.array([encoding.std if scaled else 1.0 for encoding in encodings])

    @classmethod
    def of(cls, model: Model) -> OnlineNumbers | None:
        """What reads the model's instances; None where an input is anything but a plain number."""
        learner = model.fit.learner
        if not isinstance(learner, (LinearLearner, TreeLearner)):
            return None
        encodings = model.encoder.encodings
        names = [field.name for field in model.features]
        if names != model.encoder.features or names != [encoding.name for encoding in encodings]:
            return None
        if any(encoding.kind != NUMERIC for encoding in encodings) or not all(
            pa.types.is_integer(field.type) or pa.types.is_float64(field.type) or pa.types.is_decimal(field.type)
            for field in model.features
        ):
            return None
        return cls(model, learner)

    def margins(self, instances: Sequence[Mapping[str, Any]]) -> Floats | None:
        """The learner's margins, (instances × outputs); None where the columns must look at the instances."""
        values = self._values(instances)
        if values is None:
            return None
        if isinstance(self._learner, TreeLearner):
            return self._learner.margins_of(values.astype(np.float32))
        return self._linear(self._learner, values)

    def _values(self, instances: Sequence[Mapping[str, Any]]) -> Floats | None:
        """(instances × features), a NULL as the feature's mean; None for what is left to the columns."""
        rows = [[instance.get(name) for name in self._names] for instance in instances]
        types = {type(value) for row in rows for value in row}
        if not types <= _PLAIN:
            return None
        try:
            values = np.array(rows, dtype=np.float64)  # None becomes NaN
        except OverflowError:
            return None
        null = np.array([[value is None for value in row] for row in rows]) if type(None) in types else None
        whole = values[:, self._whole]
        exact = (np.floor(whole) == whole) & (np.abs(whole) <= _EXACT)
        if not (exact if null is None else exact | null[:, self._whole]).all():
            return None
        for arrow_type, places in self._decimals.items():
            missing = None if null is None else null[:, places].ravel()
            try:
                column = pa.array(values[:, places].ravel(), mask=missing).cast(arrow_type, safe=False)
            except pa.ArrowInvalid:
                return None
            read = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
            values[:, places] = read.reshape(len(values), len(places))
        return values if null is None else np.where(null, self._means, values)

    def _linear(self, learner: LinearLearner, values: Floats) -> Floats:
        """The linear predictor, summed in the order of the features: another order gives other last bits."""
        weights = learner.weights[: len(self._names)]
        start = learner.weights[-1] if learner.intercept else np.zeros(learner.weights.shape[1])
        return np.stack([self._output(values, weights[:, o], start[o]) for o in range(weights.shape[1])], axis=1)

    def _output(self, values: Floats, weights: npt.NDArray[np.float64], start: float) -> Floats:
        products = (values - self._shift) * (weights / self._scale)
        return np.cumsum(np.column_stack([np.full(len(values), start), products]), axis=1)[:, -1]
