"""EXPORT MODEL of linear, logistic, k-means and PCA models: a TensorFlow SavedModel, written without TensorFlow.

Preprocessing is part of the graph, as in BigQuery's exports. An input a feature, each a vector of the rows: DOUBLE for
numbers (NaN = NULL), BOOL for BOOL, STRING for the rest (`_null_filler` = NULL; dates as BigQuery prints them). The
outputs are those of Vertex AI's online prediction.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from .columns import CATEGORY, NUMERIC
from .encodings import Encoding
from .errors import BqmlError
from .fitted import Fit
from .kmeans import KMeansLearner
from .linear import LinearLearner
from .model import Model
from .pca import PcaLearner
from .tensor_graph import BOOL, DOUBLE, INT32, INT64, STRING, DType, Graph, Tensor


def write_saved_model(model: Model, fit: Fit, folder: Path) -> None:
    """Write `folder` (saved_model.pb, variables/). Raises BqmlError for inputs that no exported model takes."""
    graph = Graph()
    inputs = {e.name: graph.placeholder(e.name, _input_type(e)) for e in model.encoder.encodings}
    design = Design(graph, model, inputs)
    learner = fit.learner
    if isinstance(learner, LinearLearner):
        outputs = _supervised(graph, model, design.times(learner.weights, intercept=learner.intercept))
    elif isinstance(learner, KMeansLearner):
        outputs = _clusters(graph, learner, design.whole())
    elif isinstance(learner, PcaLearner):
        projected = design.times(learner.components.T, intercept=False)
        outputs = {f"principal_component_{i + 1}": _column(graph, projected, i) for i in range(projected.shape[1])}
    else:
        raise BqmlError(f"A {model.model_type} model is not exported as a SavedModel.")
    graph.write(folder, inputs, outputs)


class Design:
    """The design matrix as tensors: standardised numbers, then the slots of each category, as `Encoder.layout` has them."""

    def __init__(self, graph: Graph, model: Model, inputs: Mapping[str, Tensor]) -> None:
        self._graph = graph
        self._parts: list[tuple[Tensor, int, int]] = []
        layout = model.encoder.layout()
        numbers = [(encoding, start) for encoding, start, _ in layout if encoding.kind == NUMERIC]
        if numbers:
            dense = self._dense([e for e, _ in numbers], inputs, standardize=model.encoder.standardize)
            self._parts.append((dense, 0, len(numbers)))
        for encoding, start, stop in layout:
            if encoding.kind == CATEGORY and stop > start:
                self._parts.append((self._slots(encoding, inputs[encoding.name]), start, stop))

    def times(self, weights: np.ndarray[tuple[int, ...], np.dtype[np.float64]], *, intercept: bool) -> Tensor:
        """The matrix times weights (width × outputs; the intercept's row last) → (rows × outputs)."""
        graph, outputs = self._graph, weights.shape[1]
        terms = [
            graph.apply("MatMul", (part, graph.doubles(weights[start:stop])), DOUBLE, (-1, outputs), T=DOUBLE)
            for part, start, stop in self._parts
        ]
        total = terms[0]
        for term in terms[1:]:
            total = graph.apply("AddV2", (total, term), DOUBLE, (-1, outputs), T=DOUBLE)
        if intercept:
            total = graph.apply("AddV2", (total, graph.doubles(weights[-1])), DOUBLE, (-1, outputs), T=DOUBLE)
        return total

    def whole(self) -> Tensor:
        """The matrix in one piece."""
        tensors = [part for part, _, _ in self._parts]
        return _joined(self._graph, tensors, DOUBLE, sum(tensor.shape[1] for tensor in tensors))

    def _dense(self, encodings: list[Encoding], inputs: Mapping[str, Tensor], *, standardize: bool) -> Tensor:
        graph, shape = self._graph, (-1, len(encodings))
        columns = [inputs[encoding.name] for encoding in encodings]
        packed = graph.apply("Pack", columns, DOUBLE, shape, T=DOUBLE, N=len(columns), axis=1)
        means = graph.doubles([encoding.mean for encoding in encodings])
        missing = graph.apply("IsNan", (packed,), BOOL, shape, T=DOUBLE)
        filled = graph.apply("SelectV2", (missing, means, packed), DOUBLE, shape, T=DOUBLE)
        if not standardize:
            return filled
        centred = graph.apply("Sub", (filled, means), DOUBLE, shape, T=DOUBLE)
        scales = graph.doubles([encoding.std for encoding in encodings])
        return graph.apply("RealDiv", (centred, scales), DOUBLE, shape, T=DOUBLE)

    def _slots(self, encoding: Encoding, values: Tensor) -> Tensor:
        graph = self._graph
        slots = [str(slot) for slot in encoding.slots()]
        shape = (-1, len(slots))
        if values.dtype == BOOL:
            values = graph.apply("AsString", (values,), STRING, (-1,), T=BOOL)
        column = _expanded(graph, values)
        equal = graph.apply("Equal", (column, graph.constant([slots], STRING)), BOOL, shape, T=STRING)
        return graph.apply("Cast", (equal,), DOUBLE, shape, SrcT=BOOL, DstT=DOUBLE)


def _input_type(encoding: Encoding) -> DType:
    if encoding.kind == NUMERIC:
        return DOUBLE
    if encoding.kind != CATEGORY:
        raise BqmlError(f"The model cannot be exported: feature {encoding.source!r} is of type ARRAY.")
    return BOOL if encoding.bigquery_type in ("BOOL", "BOOLEAN") else STRING


def _supervised(graph: Graph, model: Model, margins: Tensor) -> dict[str, Tensor]:
    label = model.label_name
    if model.classes is None:
        return {f"predicted_{label}": margins}
    texts = model.classes.texts()
    shape = (-1, len(texts))
    if len(texts) == 2:
        positive = graph.apply("Sigmoid", (margins,), DOUBLE, (-1, 1), T=DOUBLE)
        negative = graph.apply("Sub", (graph.doubles(1.0), positive), DOUBLE, (-1, 1), T=DOUBLE)
        chances = _joined(graph, [positive, negative], DOUBLE, 2)
    else:
        chances = graph.apply("Softmax", (margins,), DOUBLE, shape, T=DOUBLE)
    axis = graph.constant(1, INT32)
    code = graph.apply("ArgMax", (chances, axis), INT64, (-1,), T=DOUBLE, Tidx=INT32, output_type=INT64)
    labels, first = graph.constant(texts, STRING), graph.constant(0, INT32)
    types = {"Tparams": STRING, "Tindices": INT64, "Taxis": INT32}
    predicted = _expanded(graph, graph.apply("GatherV2", (labels, code, first), STRING, (-1,), **types))
    return {
        f"predicted_{label}": predicted,
        f"{label}_probs": chances,
        f"{label}_values": _repeated(graph, texts, code),
    }


def _repeated(graph: Graph, texts: list[str], rows: Tensor) -> Tensor:
    """The labels in each row: (rows × classes)."""
    shape = graph.apply("Shape", (rows,), INT32, (1,), T=rows.dtype, out_type=INT32)
    once, zero = graph.constant([1], INT32), graph.constant(0, INT32)
    types = {"T": INT32, "Tidx": INT32}
    times = graph.apply("ConcatV2", (shape, once, zero), INT32, (2,), N=2, **types)
    row = graph.constant([texts], STRING)
    return graph.apply("Tile", (row, times), STRING, (-1, len(texts)), T=STRING, Tmultiples=INT32)


def _clusters(graph: Graph, learner: KMeansLearner, points: Tensor) -> dict[str, Tensor]:
    centroids = learner.centroids
    clusters = len(centroids)
    shape = (-1, clusters)
    products = graph.apply("MatMul", (points, graph.doubles(centroids.T)), DOUBLE, shape, T=DOUBLE)
    squares = graph.apply("Square", (points,), DOUBLE, points.shape, T=DOUBLE)
    axis = graph.constant(1, INT32)
    norms = graph.apply("Sum", (squares, axis), DOUBLE, (-1, 1), T=DOUBLE, Tidx=INT32, keep_dims=True)
    own = (centroids**2).sum(axis=1)
    if learner.cosine:
        lengths = graph.apply("Sqrt", (norms,), DOUBLE, (-1, 1), T=DOUBLE)
        both = graph.apply("Mul", (lengths, graph.doubles(np.sqrt(own))), DOUBLE, shape, T=DOUBLE)
        similarity = graph.apply("DivNoNan", (products, both), DOUBLE, shape, T=DOUBLE)
        apart = graph.apply("Sub", (graph.doubles(1.0), similarity), DOUBLE, shape, T=DOUBLE)
        distance = graph.apply("Maximum", (apart, graph.doubles(0.0)), DOUBLE, shape, T=DOUBLE)
    else:
        twice = graph.apply("Mul", (products, graph.doubles(-2.0)), DOUBLE, shape, T=DOUBLE)
        rest = graph.apply("AddV2", (norms, graph.doubles(own)), DOUBLE, shape, T=DOUBLE)
        squared = graph.apply("AddV2", (rest, twice), DOUBLE, shape, T=DOUBLE)
        positive = graph.apply("Maximum", (squared, graph.doubles(0.0)), DOUBLE, shape, T=DOUBLE)
        distance = graph.apply("Sqrt", (positive,), DOUBLE, shape, T=DOUBLE)
    closeness = graph.apply("Neg", (distance,), DOUBLE, shape, T=DOUBLE)
    count = graph.constant(clusters, INT32)
    nearest = graph.apply("TopKV2", (closeness, count), DOUBLE, shape, T=DOUBLE)
    place = Tensor(nearest.name.replace(":0", ":1"), INT32, shape)
    numbers = graph.apply("AddV2", (place, graph.constant(1, INT32)), INT32, shape, T=INT32)
    ids = graph.apply("Cast", (numbers,), INT64, shape, SrcT=INT32, DstT=INT64)
    first = _column(graph, ids, 0)
    return {
        "CENTROID_ID": _expanded(graph, first),
        "NEAREST_CENTROID_ID": ids,
        "CENTROID_DISTANCE": graph.apply("Neg", (nearest,), DOUBLE, shape, T=DOUBLE),
    }


def _expanded(graph: Graph, values: Tensor) -> Tensor:
    axis = graph.constant(1, INT32)
    return graph.apply("ExpandDims", (values, axis), values.dtype, (-1, 1), T=values.dtype, Tdim=INT32)


def _column(graph: Graph, table: Tensor, place: int) -> Tensor:
    inputs = (table, graph.constant(place, INT32), graph.constant(1, INT32))
    types = {"Tparams": table.dtype, "Tindices": INT32, "Taxis": INT32}
    return graph.apply("GatherV2", inputs, table.dtype, (-1,), **types)


def _joined(graph: Graph, tensors: list[Tensor], dtype: DType, width: int) -> Tensor:
    if len(tensors) == 1:
        return tensors[0]
    inputs = (*tensors, graph.constant(1, INT32))
    return graph.apply("ConcatV2", inputs, dtype, (-1, width), N=len(tensors), T=dtype, Tidx=INT32)
