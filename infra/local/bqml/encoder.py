"""From model inputs to the matrix that an algorithm sees: imputed, standardised, encoded.

BigQuery's automatic preprocessing, second half. What was learnt from the training rows (means, deviations, vocabularies)
is frozen here, is JSON-able, and is applied unchanged to whatever is predicted later.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse

from .bigquery_types import type_name
from .columns import CATEGORY, NUMERIC, VECTOR, Input, as_text, inputs_of
from .design import Design, Floats
from .encoding_fit import fit_encoding
from .encodings import LABEL, TARGET, Encoding
from .errors import BqmlError
from .input_arrays import labels_of, slots_of, vectors_of
from .numbers import numbers
from .vocabulary import places

ROW_CHUNK = 16_384
"""Rows of a row-major matrix that are filled together: what stays in the second-level cache."""


@dataclass
class Encoder:
    """All inputs of a model. ``method``: how categories are encoded; ``standardize``: whether numbers are scaled."""

    method: str
    standardize: bool
    encodings: list[Encoding]
    features: list[str]

    def to_json(self) -> dict[str, Any]:
        """What ``from_json`` takes."""
        return asdict(self)

    @classmethod
    def from_json(cls, state: dict[str, Any]) -> Encoder:
        """The encoder that ``to_json`` wrote."""
        encodings = [Encoding(**encoding) for encoding in state["encodings"]]
        return cls(state["method"], state["standardize"], encodings, state["features"])

    @classmethod
    def fit(
        cls,
        data: pa.Table,
        features: list[str],
        *,
        method: str,
        standardize: bool,
        rows: pa.Array | None = None,
        targets: Floats | None = None,
        sample_deviation: bool = False,
    ) -> Encoder:
        """Learn from the marked rows. ``targets`` (n × classes, for target encoding) are those rows' labels.

        Numbers are scaled by the population's deviation, or (KMEANS, PCA) by that of a sample.

        Raises BqmlError on an all-NULL, infinite or unsupported column.
        """
        encodings = [
            fit_encoding(item, item.values(), method, targets, int(sample_deviation))
            for item in inputs_of(data, features, rows)
        ]
        return cls(method, standardize, encodings, features)

    def inputs(self, data: pa.Table | pa.RecordBatch, rows: pa.Array | None = None) -> list[Input]:
        """The inputs of data with the same features. Raises BqmlError on a missing column or another type."""
        names = Counter(data.schema.names)
        for feature in self.features:
            if names[feature] > 1:
                raise BqmlError(f"Duplicate column name {feature!r} in the input data.")
            if not names[feature]:
                raise BqmlError(f"Column {feature!r} is a feature of the model and is not in the input data.")
        found = inputs_of(data, self.features, rows)
        if len(found) != len(self.encodings) or any(
            got.name != encoding.name for got, encoding in zip(found, self.encodings, strict=False)
        ):
            raise BqmlError("The structure of the input columns differs from the one that the model was trained on.")
        return [_coerced(got, encoding) for got, encoding in zip(found, self.encodings, strict=True)]

    def design(self, data: pa.Table | pa.RecordBatch, *, intercept: bool, rows: pa.Array | None = None) -> Design:
        """The linear design: standardised numbers (dense), then category slots (sparse)."""
        inputs = self.inputs(data, rows)
        n = int(pc.sum(rows).as_py() or 0) if rows is not None else data.num_rows
        dense_width = sum(e.width for e in self.encodings if e.kind in (NUMERIC, VECTOR))
        dense = np.empty((n, dense_width), order="F")
        parts: list[sparse.csr_matrix] = []
        at = 0
        for item, encoding in zip(inputs, self.encodings, strict=True):
            if encoding.kind == NUMERIC:
                column = dense[:, at]
                np.subtract(numbers(item.values(), encoding.mean), self._shift(encoding.mean), out=column)
                if self.standardize and encoding.std != 1.0:
                    column *= 1.0 / encoding.std
                at += 1
            elif encoding.kind == VECTOR:
                block = vectors_of(item, encoding)
                if self.standardize:
                    block = (block - encoding.means) / encoding.stds
                dense[:, at : at + encoding.width] = block
                at += encoding.width
            else:
                parts.append(slots_of(item, encoding, n))
        return Design(dense, sparse.hstack(parts, format="csr") if parts else None, intercept)

    def predictor(
        self,
        data: pa.Table | pa.RecordBatch,
        weights: Floats,
        *,
        intercept: bool,
        rows: pa.Array | None = None,
    ) -> Floats:
        """``design(...).dot(weights)`` without the design: column by column, so that a batch stays in the cache.

        No BLAS: batches are worked on side by side, and its own threads would stand in each other's way.
        """
        inputs = {item.name: item for item in self.inputs(data, rows)}
        n = int(pc.sum(rows).as_py() or 0) if rows is not None else data.num_rows
        outputs = weights.shape[1]
        total = np.zeros((outputs, n))
        if intercept:
            total += weights[-1][:, None]
        scratch, product = np.empty(n), np.empty(n)
        for encoding, start, stop in self.layout():
            item = inputs[encoding.name]
            if encoding.kind == NUMERIC:
                np.subtract(numbers(item.values(), encoding.mean), self._shift(encoding.mean), out=scratch)
                scale = encoding.std if self.standardize else 1.0
                for output in range(outputs):
                    np.multiply(scratch, weights[start, output] / scale, out=product)
                    total[output] += product
            elif encoding.kind == VECTOR:
                block = vectors_of(item, encoding)
                if self.standardize:
                    block = (block - encoding.means) / encoding.stds
                total += (block @ weights[start:stop]).T
            else:
                total += (slots_of(item, encoding, n) @ weights[start:stop]).T
        return total.T

    def _shift(self, mean: float) -> float:
        return mean if self.standardize else 0.0

    def matrix(self, data: pa.Table | pa.RecordBatch, rows: pa.Array | None = None) -> npt.NDArray[np.float32]:
        """The tree matrix, row-major float32, NaN = missing."""
        inputs = self.inputs(data, rows)
        n = int(pc.sum(rows).as_py() or 0) if rows is not None else data.num_rows
        columns: list[npt.NDArray[Any]] = []
        for item, encoding in zip(inputs, self.encodings, strict=True):
            columns.extend(self._tree_columns(item, encoding, n))
        out = np.empty((n, len(columns)), dtype=np.float32)
        for start in range(0, n, ROW_CHUNK):
            stop = start + ROW_CHUNK
            for j, column in enumerate(columns):
                out[start:stop, j] = column[start:stop]
        return out

    def _tree_columns(self, item: Input, encoding: Encoding, n: int) -> list[npt.NDArray[Any]]:
        if encoding.kind == NUMERIC:
            return [numbers(item.values(), encoding.mean)]
        if encoding.kind == VECTOR:
            return list(vectors_of(item, encoding).T)
        if encoding.kind == CATEGORY and self.method == LABEL:
            return [labels_of(item, encoding)]
        if encoding.kind == CATEGORY and self.method == TARGET:
            codes = places(as_text(item.values()), encoding.categories)
            table = np.array([*encoding.targets, encoding.default_target])
            return list(table[codes].T)
        return list(slots_of(item, encoding, n).toarray().T)

    def matrix_sources(self) -> list[str]:
        """The feature that each column of the tree matrix comes from."""
        sources: list[str] = []
        for encoding in self.encodings:
            if encoding.kind == CATEGORY and self.method == LABEL:
                width = 1
            elif encoding.kind == CATEGORY and self.method == TARGET:
                width = len(encoding.default_target)
            else:
                width = len(encoding.slots())
            sources.extend([encoding.name] * width)
        return sources

    def layout(self) -> list[tuple[Encoding, int, int]]:
        """``(encoding, start, stop)`` of each input's slots in a linear design's columns."""
        places: list[tuple[Encoding, int, int]] = []
        dense = [e for e in self.encodings if e.kind in (NUMERIC, VECTOR)]
        others = [e for e in self.encodings if e.kind not in (NUMERIC, VECTOR)]
        start = 0
        for encoding in [*dense, *others]:
            stop = start + len(encoding.slots())
            places.append((encoding, start, stop))
            start = stop
        return places


def _coerced(item: Input, encoding: Encoding) -> Input:
    """Let INT64 stand for FLOAT64 and the like; refuse what is another kind of column."""
    if item.kind == encoding.kind and (
        encoding.kind != CATEGORY or type_name(item.arrow_type) == encoding.bigquery_type or item.source != item.name
    ):
        return item
    if pa.types.is_null(item.arrow_type):
        target = pa.float64() if encoding.kind == NUMERIC else pa.string()
        return Input(item.name, item.source, encoding.kind, target, lambda: item.values().cast(target))
    raise BqmlError(
        f"Column {item.source!r} has type {type_name(item.arrow_type)} in the input data, "
        f"but the model was trained on {encoding.bigquery_type}."
    )
