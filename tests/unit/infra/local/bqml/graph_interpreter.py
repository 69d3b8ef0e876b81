"""Reads a SavedModel back and computes its signature: by TensorFlow where it is installed, always by NumPy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from infra.local.bqml.saved_model_messages import message
from infra.local.bqml.tensor_graph import DType

NUMPY = {DType.DOUBLE: np.float64, DType.INT32: np.int32, DType.INT64: np.int64, DType.BOOL: np.bool_}


def top_k(values: Any, k: Any) -> tuple[Any, Any]:
    order = np.argsort(-values, axis=1, kind="stable")[:, : int(k)]
    return np.take_along_axis(values, order, axis=1), order.astype(np.int32)


def softmax(x: Any) -> Any:
    shares = np.exp(x - x.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


OPERATIONS: dict[str, Callable[..., Any]] = {
    "AddV2": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "RealDiv": np.divide,
    "DivNoNan": lambda a, b: np.divide(a, b, out=np.zeros(np.broadcast(a, b).shape), where=b != 0),
    "Maximum": np.maximum,
    "Neg": np.negative,
    "Sqrt": np.sqrt,
    "Square": np.square,
    "IsNan": np.isnan,
    "SelectV2": np.where,
    "MatMul": np.matmul,
    "Sigmoid": lambda x: 1.0 / (1.0 + np.exp(-x)),
    "Softmax": softmax,
    "Equal": lambda a, b: np.equal(a, b).astype(bool),
    "AsString": lambda x: np.array([str(v).lower() for v in x], dtype=object),
    "ExpandDims": lambda x, axis: np.expand_dims(x, int(axis)),
    "GatherV2": lambda x, places, axis: np.take(x, places, axis=int(axis)),
    "ArgMax": lambda x, axis: x.argmax(axis=int(axis)),
    "Shape": lambda x: np.array(x.shape, np.int32),
    "Tile": lambda x, times: np.tile(x, times),
    "TopKV2": top_k,
    "Log": np.log,
    "Exp": np.exp,
    "Abs": np.abs,
    "Minimum": np.minimum,
    "GreaterEqual": np.greater_equal,
    "StringJoin": lambda *parts: np.array(["_".join(texts) for texts in zip(*parts, strict=True)], dtype=object),
}


class SavedModel:
    """One exported folder."""

    def __init__(self, folder: Path) -> None:
        whole = message("SavedModel")
        whole.ParseFromString((folder / "saved_model.pb").read_bytes())
        (graph,) = whole.meta_graphs
        assert list(graph.meta_info_def.tags) == ["serve"]
        (entry,) = graph.signature_def
        assert entry.key == "serving_default"
        self.folder = folder
        self.nodes = list(graph.graph_def.node)
        self.inputs = {e.key: (e.value.name, DType(e.value.dtype)) for e in entry.value.inputs}
        self.outputs = {e.key: e.value.name for e in entry.value.outputs}

    def fed(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """The rows as the signature takes them: NaN and `_null_filler` for NULL."""
        given = {}
        for name, (_, dtype) in self.inputs.items():
            values = [row[name] for row in rows]
            if dtype is DType.DOUBLE:
                given[name] = np.array([np.nan if v is None else float(v) for v in values])
            elif dtype is DType.BOOL:
                given[name] = np.array(values, dtype=bool)
            else:
                given[name] = np.array(["_null_filler" if v is None else str(v) for v in values], dtype=object)
        return given

    def by_numpy(self, rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
        """Every output, one value or list a row."""
        fed = self.fed(rows)
        placed = {tensor.split(":")[0]: fed[name] for name, (tensor, _) in self.inputs.items()}
        for node in self.nodes:
            attributes = {a.key: a.value for a in node.attr}
            inputs = [placed[_plain(name)] for name in node.input]
            if node.op == "Placeholder":
                continue
            if node.op == "Const":
                placed[node.name] = _constant(attributes["value"].tensor)
            elif node.op == "Pack":
                placed[node.name] = np.stack(inputs, axis=attributes["axis"].i)
            elif node.op == "ConcatV2":
                placed[node.name] = np.concatenate(inputs[:-1], axis=int(inputs[-1]))
            elif node.op == "Sum":
                placed[node.name] = inputs[0].sum(axis=int(inputs[1]), keepdims=attributes["keep_dims"].b)
            elif node.op == "Cast":
                placed[node.name] = inputs[0].astype(NUMPY[DType(attributes["DstT"].type)])
            else:
                result = OPERATIONS[node.op](*inputs)
                if isinstance(result, tuple):
                    placed[f"{node.name}:1"] = result[1]
                    result = result[0]
                placed[node.name] = result
        return {name: placed[_plain(tensor)].tolist() for name, tensor in self.outputs.items()}

    def by_tensorflow(self, tensorflow: Any, rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
        """The same by TensorFlow."""
        signature = tensorflow.saved_model.load(str(self.folder)).signatures["serving_default"]
        answer = signature(**{name: tensorflow.constant(values) for name, values in self.fed(rows).items()})
        found = {name: tensor.numpy() for name, tensor in answer.items()}
        return {
            name: np.vectorize(bytes.decode, otypes=[object])(v).tolist() if v.dtype == object else v.tolist()
            for name, v in found.items()
        }


def _plain(tensor: str) -> str:
    return tensor.removesuffix(":0")


def _constant(tensor: Any) -> Any:
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    if tensor.dtype == DType.STRING:
        return np.array([text.decode() for text in tensor.string_val], dtype=object).reshape(shape)
    return np.frombuffer(tensor.tensor_content, NUMPY[DType(tensor.dtype)]).reshape(shape)
