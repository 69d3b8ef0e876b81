"""TRANSFORM as a TensorFlow SavedModel: what EXPORT MODEL puts into `transform/` beside the model.

Its inputs are the columns that the clause reads, its outputs the model's inputs, in the types of `bqml.saved_model`: numbers
as DOUBLE (NaN = NULL), BOOL, the rest as STRING (`_null_filler` = NULL). What has no counterpart here is refused by name.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from sqlglot import exp

from ...bqml import Model
from ...bqml.encodings import NULL_FILLER
from ...bqml.tensor_graph import BOOL, DOUBLE, STRING, DType, Graph, Tensor
from ..errors import BigQueryError
from . import bucket_graph
from .option_values import value_of
from .preprocessing_calls import VALUE, find_calls, has_calls
from .transform import EXTRA, projections_of

Value: TypeAlias = "Tensor | dict[str, Tensor]"
"""A column, or the fields of a STRUCT."""
BINARY: dict[type[exp.Expr], str] = {exp.Add: "AddV2", exp.Sub: "Sub", exp.Mul: "Mul", exp.Div: "RealDiv"}
UNARY: dict[type[exp.Expr], str] = {exp.Ln: "Log", exp.Exp: "Exp", exp.Sqrt: "Sqrt", exp.Abs: "Abs", exp.Neg: "Neg"}


def write_transform(model: Model, folder: Path) -> None:
    """Write the SavedModel of a model's TRANSFORM.

    Raises:
        BigQueryError: the clause has something that is not exported (`notImplemented`).
    """
    kept = model.extras[EXTRA]
    clause = _Clause({item["name"]: item["type"] for item in kept["inputs"]})
    labels = {name.lower() for name, _ in model.label_columns}
    items = [
        item
        for item in projections_of(kept["sql"])
        if not isinstance(item, exp.Alias | exp.Column) or item.output_name.lower() not in labels
    ]
    outputs = clause.outputs(items, kept["learnt"], labels)
    names = {encoding.name for encoding in model.encoder.encodings}
    clause.graph.write(folder, clause.inputs, {name: tensor for name, tensor in outputs.items() if name in names})


class _Clause:
    """The tensors of a clause's expressions."""

    def __init__(self, types: Mapping[str, str]) -> None:
        self.graph = Graph()
        self.inputs: dict[str, Tensor] = {}
        self._types = types
        self._values: dict[str, Value] = {}

    def outputs(self, items: list[exp.Expr], learnt: list[dict[str, Any]], labels: set[str]) -> dict[str, Tensor]:
        """The select list's tensors by name; the fields of a struct `s` are `s_field`. Calls come in `compute`'s order."""
        holder = exp.Tuple(expressions=items)
        place = 0
        while calls := [
            call
            for call in find_calls(holder)
            if not has_calls(exp.Tuple(expressions=[column.copy() for column in call.columns]))
        ]:
            for call in calls:
                arguments = [value_of(argument, {}) for argument in call.arguments]
                (column,) = (self._of(column) for column in call.columns)
                self._values[f"{VALUE}{place}"] = self._called(call.function, column, learnt[place], arguments)
                call.node.replace(exp.column(f"{VALUE}{place}"))
                place += 1
        found: dict[str, Tensor] = {}
        for item in holder.expressions:
            if item.is_star:
                hidden = {name.name.lower() for name in _star(item).args.get("except_") or []} | labels
                found |= {name: self._column(name) for name in self._types if name.lower() not in hidden}
                continue
            value = self._of(item.unalias())
            fields = value if isinstance(value, dict) else {"": value}
            found |= {f"{item.output_name}_{field}".rstrip("_"): tensor for field, tensor in fields.items()}
        return found

    def _of(self, node: exp.Expr) -> Value:
        if isinstance(node, exp.Paren):
            return self._of(node.this)
        if isinstance(node, exp.Column):
            known = self._values.get(node.name)
            return known if known is not None else self._column(node.name)
        if isinstance(node, exp.Literal) and not node.is_string:
            return self.graph.doubles(float(node.this))
        if isinstance(node, exp.Struct):
            return {_field_name(item): self._one(_field(item)) for item in node.expressions}
        if isinstance(node, exp.Cast):
            return self._cast(node)
        if type(node) in BINARY:
            return self._numbers(BINARY[type(node)], self._number(node.this), self._number(node.expression))
        if type(node) in UNARY:
            return self._numbers(UNARY[type(node)], self._number(node.this))
        raise _refused(node)

    def _one(self, node: exp.Expr) -> Tensor:
        value = self._of(node)
        if isinstance(value, dict):
            raise _refused(node)
        return value

    def _number(self, node: exp.Expr) -> Tensor:
        value = self._one(node)
        if value.dtype is not DOUBLE:
            raise _refused(node)
        return value

    def _numbers(self, operation: str, *inputs: Tensor) -> Tensor:
        return self.graph.apply(operation, inputs, DOUBLE, (-1,), T=DOUBLE)

    def _column(self, name: str) -> Tensor:
        spelt = next((own for own in self._types if own.lower() == name.lower()), None)
        if spelt is None:
            raise _refused(exp.column(name))
        if spelt not in self.inputs:
            self.inputs[spelt] = self.graph.placeholder(spelt, _input_type(spelt, self._types[spelt]))
        return self.inputs[spelt]

    def _cast(self, node: exp.Cast) -> Tensor:
        value, wanted = self._one(node.this), node.args["to"].this
        if wanted == exp.DataType.Type.DOUBLE and value.dtype is DOUBLE:
            return value
        if wanted == exp.DataType.Type.TEXT and value.dtype is STRING:
            return value
        if wanted == exp.DataType.Type.TEXT and value.dtype is BOOL:
            return self.graph.apply("AsString", (value,), STRING, (-1,), T=BOOL)
        raise _refused(node)

    def _called(self, function: str, value: Value, known: Mapping[str, Any], arguments: list[Any]) -> Value:
        makers: dict[str, Callable[[], Value]] = {
            "STANDARD_SCALER": lambda: self._scaled(value, known["mean"], known["std"]),
            "MAX_ABS_SCALER": lambda: self._scaled(value, 0.0, known["max_abs"] or 1.0),
            "MIN_MAX_SCALER": lambda: self._min_max(value, known["min"], known["max"] - known["min"]),
            "ROBUST_SCALER": lambda: self._robust(value, known, *arguments[1:]),
            "IMPUTER": lambda: self._imputed(value, known["fill"]),
            "BUCKETIZE": lambda: bucket_graph.bucketize(self.graph, _tensor(value), known, "BUCKETIZE", arguments),
            "QUANTILE_BUCKETIZE": lambda: bucket_graph.bucketize(
                self.graph, _tensor(value), known, "QUANTILE_BUCKETIZE", arguments
            ),
            "LABEL_ENCODER": lambda: bucket_graph.encode(self.graph, _tensor(value), known["words"]),
            "POLYNOMIAL_EXPAND": lambda: self._products(value, *arguments),
            "FEATURE_CROSS": lambda: self._crossed(value, *arguments),
        }
        if function not in makers:
            raise _refused(f"ML.{function}")
        return makers[function]()

    def _scaled(self, value: Value, shift: float, scale: float) -> Tensor:
        centred = self._numbers("Sub", _tensor(value), self.graph.doubles(shift))
        if scale:
            return self._numbers("RealDiv", centred, self.graph.doubles(scale))
        return self._numbers("Mul", centred, self.graph.doubles(0.0))

    def _min_max(self, value: Value, low: float, span: float) -> Tensor:
        # A constant column has no span: what lies above it is 1, as it is of any column.
        scaled = self._scaled(value, low, span or 5e-324)
        above = self._numbers("Maximum", scaled, self.graph.doubles(0.0))
        return self._numbers("Minimum", above, self.graph.doubles(1.0))

    def _robust(self, value: Value, known: Mapping[str, Any], median: bool = True, span: bool = True) -> Tensor:
        scale = known["high"] - known["low"] if span else 0.0
        return self._scaled(value, known["median"] if median else 0.0, scale or 1.0)

    def _imputed(self, value: Value, fill: Any) -> Tensor:
        tensor, graph = _tensor(value), self.graph
        if fill is None:
            return tensor
        filler = graph.constant(fill, tensor.dtype)
        return graph.apply("SelectV2", (self._missing(tensor), filler, tensor), tensor.dtype, (-1,), T=tensor.dtype)

    def _missing(self, tensor: Tensor) -> Tensor:
        if tensor.dtype is DOUBLE:
            return self.graph.apply("IsNan", (tensor,), BOOL, (-1,), T=DOUBLE)
        null = self.graph.constant(NULL_FILLER, STRING)
        return self.graph.apply("Equal", (tensor, null), BOOL, (-1,), T=STRING)

    def _products(self, value: Value, degree: int = 2) -> dict[str, Tensor]:
        fields = _fields(value)
        found: dict[str, Tensor] = {}
        for size in range(1, degree + 1):
            for names in itertools.combinations_with_replacement(fields, size):
                product = fields[names[0]]
                for name in names[1:]:
                    product = self._numbers("Mul", product, fields[name])
                found["_".join(names)] = product
        return found

    def _crossed(self, value: Value, degree: int = 2) -> dict[str, Tensor]:
        fields, graph = _fields(value), self.graph
        null = graph.constant(NULL_FILLER, STRING)
        found: dict[str, Tensor] = {}
        for size in range(2, degree + 1):
            for names in itertools.combinations(fields, size):
                parts = [fields[name] for name in names]
                joined = graph.apply("StringJoin", parts, STRING, (-1,), N=len(parts), separator="_")
                for part in parts:
                    inputs = (self._missing(part), null, joined)
                    joined = graph.apply("SelectV2", inputs, STRING, (-1,), T=STRING)
                found["_".join(names)] = joined
        return found


def _input_type(name: str, arrow_type: str) -> DType:
    if arrow_type.startswith(("int", "uint", "double", "float", "halffloat", "decimal")):
        return DOUBLE
    if arrow_type == "bool":
        return BOOL
    if arrow_type.startswith(("string", "large_string", "date", "time")):
        return STRING
    raise BigQueryError("notImplemented", f"EXPORT MODEL: column {name!r} of TRANSFORM has type {arrow_type}")


def _tensor(value: Value) -> Tensor:
    if isinstance(value, dict):
        raise _refused("a STRUCT as an argument")
    return value


def _fields(value: Value) -> dict[str, Tensor]:
    if not isinstance(value, dict):
        raise _refused("an argument that is not written as STRUCT(...)")
    return value


def _field(item: exp.Expr) -> exp.Expr:
    return item.expression if isinstance(item, exp.PropertyEQ) else item.unalias()


def _field_name(item: exp.Expr) -> str:
    return str(item.this.name if isinstance(item, exp.PropertyEQ) else item.output_name)


def _star(item: exp.Expr) -> exp.Expr:
    return item.this if isinstance(item, exp.Column) else item


def _refused(what: exp.Expr | str) -> BigQueryError:
    shown = what if isinstance(what, str) else what.sql(dialect="bigquery")
    return BigQueryError("notImplemented", f"EXPORT MODEL: TRANSFORM has {shown}, which is not exported here")
