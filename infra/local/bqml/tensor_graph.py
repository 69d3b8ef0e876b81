"""A TensorFlow graph of constants and stateless operations, and the SavedModel that holds it."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .saved_model_messages import message


class DType(enum.IntEnum):
    """TensorFlow's numbers of its types."""

    DOUBLE, INT32, STRING, INT64, BOOL = 2, 3, 7, 9, 10


DOUBLE, INT32, STRING, INT64, BOOL = DType.DOUBLE, DType.INT32, DType.STRING, DType.INT64, DType.BOOL
_NUMPY = {DOUBLE: np.float64, INT32: np.int32, INT64: np.int64, BOOL: np.bool_}
VERSION, PRODUCER = "1.15.0", 134


@dataclass(frozen=True)
class Tensor:
    """An output of a node: its name in the graph, type and shape (-1 = the number of rows)."""

    name: str
    dtype: DType
    shape: tuple[int, ...]


class Graph:
    """Nodes in the order in which they were added; each may read those before it only."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []

    def placeholder(self, name: str, dtype: DType, shape: tuple[int, ...] = (-1,)) -> Tensor:
        """An input; `name` may hold what a node's name may not."""
        attributes = {"dtype": _type(dtype), "shape": message("AttrValue", shape=_shape(shape))}
        return self._add("Placeholder", (), attributes, dtype, shape, hint=name)

    def constant(self, values: Any, dtype: DType) -> Tensor:
        """A constant of any shape."""
        if dtype == STRING:
            array = np.asarray(values, dtype=object)
            texts = [str(text).encode() for text in array.ravel()]
            held = message("TensorProto", dtype=dtype, tensor_shape=_shape(array.shape), string_val=texts)
        else:
            array = np.asarray(values, dtype=_NUMPY[dtype])
            held = message("TensorProto", dtype=dtype, tensor_shape=_shape(array.shape), tensor_content=array.tobytes())
        attributes = {"dtype": _type(dtype), "value": message("AttrValue", tensor=held)}
        return self._add("Const", (), attributes, dtype, tuple(array.shape))

    def doubles(self, values: npt.ArrayLike) -> Tensor:
        """A constant of DOUBLE."""
        return self.constant(values, DOUBLE)

    def apply(
        self,
        operation: str,
        inputs: Sequence[Tensor],
        dtype: DType,
        shape: tuple[int, ...],
        *,
        output: int = 0,
        **attributes: Any,
    ) -> Tensor:
        """An operation's output; attributes are types, whole numbers, truth values and texts."""
        made = {
            name: message("AttrValue", b=value)
            if isinstance(value, bool)
            else message("AttrValue", s=value.encode())
            if isinstance(value, str)
            else _type(value)
            if isinstance(value, DType)
            else message("AttrValue", i=value)
            for name, value in attributes.items()
        }
        return self._add(operation, inputs, made, dtype, shape, output=output)

    def saved_model(self, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> bytes:
        """saved_model.pb with one signature, `serving_default`, under the tag `serve`."""
        signature = message(
            "SignatureDef",
            inputs=[_info(name, tensor) for name, tensor in inputs.items()],
            outputs=[_info(name, tensor) for name, tensor in outputs.items()],
            method_name="tensorflow/serving/predict",
        )
        whole = message(
            "SavedModel",
            saved_model_schema_version=1,
            meta_graphs=[
                message(
                    "MetaGraphDef",
                    meta_info_def=message("MetaInfoDef", tags=["serve"], tensorflow_version=VERSION),
                    graph_def=message("GraphDef", node=self._nodes, versions=message("VersionDef", producer=PRODUCER)),
                    signature_def=[message("SignatureEntry", key="serving_default", value=signature)],
                )
            ],
        )
        return bytes(whole.SerializeToString(deterministic=True))

    def write(self, folder: Path, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> None:
        """The SavedModel's folder. There are no variables, but some loaders look for their folder."""
        (folder / "variables").mkdir(parents=True, exist_ok=True)
        (folder / "saved_model.pb").write_bytes(self.saved_model(inputs, outputs))

    def _add(
        self,
        operation: str,
        inputs: Sequence[Tensor],
        attributes: Mapping[str, Any],
        dtype: DType,
        shape: tuple[int, ...],
        *,
        output: int = 0,
        hint: str = "",
    ) -> Tensor:
        stem = "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in hint) or operation
        name = f"n{len(self._nodes)}_{stem}"
        self._nodes.append(
            message(
                "NodeDef",
                name=name,
                op=operation,
                input=[tensor.name for tensor in inputs],
                attr=[message("AttrEntry", key=key, value=value) for key, value in attributes.items()],
            )
        )
        return Tensor(f"{name}:{output}", dtype, shape)


def _type(dtype: DType) -> Any:
    return message("AttrValue", type=dtype)


def _shape(shape: Sequence[int]) -> Any:
    return message("TensorShapeProto", dim=[message("Dim", size=size) for size in shape])


def _info(name: str, tensor: Tensor) -> Any:
    held = message("TensorInfo", name=tensor.name, dtype=tensor.dtype, tensor_shape=_shape(tensor.shape))
    return message("TensorInfoEntry", key=name, value=held)
