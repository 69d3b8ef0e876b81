"""ML.BUCKETIZE, ML.QUANTILE_BUCKETIZE and ML.LABEL_ENCODER as tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from ...bqml import preprocessing
from ...bqml.encodings import NULL_FILLER
from ...bqml.tensor_graph import BOOL, DOUBLE, INT32, STRING, DType, Graph, Tensor


def bucketize(
    graph: Graph, values: Tensor, known: Mapping[str, Any], function: str, arguments: Sequence[Any]
) -> Tensor:
    """The name of each number's bucket: the number of split points that it reaches chooses among the names."""
    points = [float(p) for p in (known["points"] if "points" in known else _split_points(arguments))]
    # The names are the library's own: those of a number below all points, and of each point.
    probes = [points[0] - 1.0, *points] if points else [0.0]
    column = pa.chunked_array([pa.array(probes, pa.float64())])
    names = preprocessing.apply(function, dict(known), [column], arguments).to_pylist()
    shape = (-1, len(points))
    reached = graph.apply(
        "GreaterEqual", (_as_column(graph, values), graph.doubles([points])), BOOL, shape, T=values.dtype
    )
    place = _summed(graph, reached, len(points), [1] * len(points))
    bucket = _gathered(graph, names, place)
    missing = graph.apply("IsNan", (values,), BOOL, (-1,), T=DOUBLE)
    null = graph.constant(NULL_FILLER, STRING)
    return graph.apply("SelectV2", (missing, null, bucket), STRING, (-1,), T=STRING)


def encode(graph: Graph, values: Tensor, words: Sequence[str]) -> Tensor:
    """A word's number from 1 on; 0 for NULL and for what is not in the vocabulary."""
    row = graph.constant([list(words)], STRING)
    equal = graph.apply("Equal", (_as_column(graph, values), row), BOOL, (-1, len(words)), T=STRING)
    number = _summed(graph, equal, len(words), range(1, len(words) + 1))
    return graph.apply("Cast", (number,), DOUBLE, (-1,), SrcT=INT32, DstT=DOUBLE)


def _split_points(arguments: Sequence[Any]) -> Sequence[float]:
    points: Sequence[float] = arguments[0]
    return points[1:-1] if len(arguments) > 1 and arguments[1] else points


def _as_column(graph: Graph, values: Tensor) -> Tensor:
    axis = graph.constant(1, INT32)
    return graph.apply("ExpandDims", (values, axis), values.dtype, (-1, 1), T=values.dtype, Tdim=INT32)


def _summed(graph: Graph, marks: Tensor, width: int, weights: Sequence[int]) -> Tensor:
    """The sum of the weights that each row marks, INT32."""
    ones = graph.apply("Cast", (marks,), INT32, (-1, width), SrcT=BOOL, DstT=INT32)
    weighted = graph.apply("Mul", (ones, graph.constant([list(weights)], INT32)), INT32, (-1, width), T=INT32)
    axis = graph.constant(1, INT32)
    return graph.apply("Sum", (weighted, axis), INT32, (-1,), T=INT32, Tidx=INT32, keep_dims=False)


def _gathered(graph: Graph, texts: Sequence[str], places: Tensor) -> Tensor:
    types: dict[str, DType] = {"Tparams": STRING, "Tindices": INT32, "Taxis": INT32}
    inputs = (graph.constant(list(texts), STRING), places, graph.constant(0, INT32))
    return graph.apply("GatherV2", inputs, STRING, (-1,), **types)
