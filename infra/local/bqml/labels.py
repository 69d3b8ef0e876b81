"""The label column: which classes there are, in which order, what each row weighs.

The positive class of a binary model is the higher label, and results list the higher label first, so classes are
kept in falling order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from .bigquery_types import is_numeric, type_name
from .design import Floats
from .errors import BqmlError
from .options import ModelSpec

MAX_CLASSES = 50


@dataclass(frozen=True)
class Classes:
    """The classes in falling order, as an Arrow array of the label's own type."""

    values: pa.Array

    @property
    def count(self) -> int:
        """How many classes."""
        return len(self.values)

    def texts(self) -> list[str]:
        """Each class as a STRING (``true``, ``1``, ``MALE``)."""
        return [str(text) for text in pc.cast(self.values, pa.string()).to_pylist()]

    def codes(self, column: Any, name: str) -> npt.NDArray[np.int64]:
        """The class index of each row. Raises BqmlError on a NULL or on a class that training did not see."""
        if column.null_count:
            raise BqmlError(f"Label column {name!r} has NULL values, which are not allowed.")
        if pa.types.is_dictionary(column.type):
            column = pc.cast(column, column.type.value_type)
        if type_name(column.type) != type_name(self.values.type):
            raise BqmlError(
                f"Label column {name!r} has type {type_name(column.type)} in the input data, "
                f"but the model was trained on {type_name(self.values.type)}."
            )
        found = pc.index_in(column.cast(self.values.type), value_set=self.values)
        if found.null_count:
            unseen = pc.filter(column, pc.is_null(found))[0].as_py()
            raise BqmlError(f"Label column {name!r} has the value {unseen!r}, which the training data did not have.")
        return np.asarray(found).astype(np.int64)


def find_label(data: pa.Table, spec: ModelSpec) -> str:
    """The label column as the data spells it. Raises BqmlError(invalidQuery) if there is none."""
    wanted = spec.label_columns[0]
    for name in data.schema.names:
        if name.lower() == wanted.lower():
            return str(name)
    if "input_label_cols" in spec.options:
        raise BqmlError(f"Label column {wanted!r} of option INPUT_LABEL_COLS is not found in the training data.")
    raise BqmlError(
        "Unable to identify the label column: either name a column 'label' or specify it with option INPUT_LABEL_COLS."
    )


def check_label(data: pa.Table, name: str) -> None:
    """Raises BqmlError on a NULL label."""
    nulls = data.column(name).null_count
    if nulls:
        raise BqmlError(f"Label column {name!r} has {nulls} NULL values in the training data; labels must not be NULL.")


def find_classes(column: pa.ChunkedArray, name: str) -> Classes:
    """Raises BqmlError on one class only, on more than 50, and on a type that cannot be a class."""
    if pa.types.is_dictionary(column.type):
        column = pc.cast(column, column.type.value_type)
    if not (
        is_numeric(column.type)
        or pa.types.is_string(column.type)
        or pa.types.is_large_string(column.type)
        or pa.types.is_boolean(column.type)
        or pa.types.is_date(column.type)
        or pa.types.is_timestamp(column.type)
    ):
        raise BqmlError(f"Label column {name!r} has type {type_name(column.type)}, which is not supported as a class.")
    values = pc.unique(column)
    if len(values) < 2:
        raise BqmlError(
            f"Classification model requires at least 2 unique labels and label column {name!r} "
            f"had only {len(values)} unique label."
        )
    if len(values) > MAX_CLASSES:
        raise BqmlError(
            f"Classification model only supports up to {MAX_CLASSES} unique labels and label column {name!r} "
            f"had {len(values)} unique labels."
        )
    order = pc.array_sort_indices(values.cast(pa.int8()) if pa.types.is_boolean(values.type) else values, "descending")
    return Classes(pc.take(values, order))


def regression_target(column: Any, name: str) -> Floats:
    """The label of a regressor. Raises BqmlError unless it is numeric and finite."""
    if not is_numeric(column.type):
        raise BqmlError(f"Label column {name!r} of a regression must be numeric, got {type_name(column.type)}.")
    if column.null_count:
        raise BqmlError(f"Label column {name!r} has NULL values, which are not allowed.")
    target = np.asarray(column.cast(pa.float64())).astype(np.float64)
    if not np.isfinite(target).all():
        raise BqmlError(f"Label column {name!r} has NaN or infinite values.")
    return target


def class_weights(spec: ModelSpec, classes: Classes, codes: npt.NDArray[np.int64]) -> Floats | None:
    """The weight of each class; auto = rows / (rows of the class × classes). None where all weigh 1."""
    said = spec.options.get("class_weights")
    if said is not None:
        texts = classes.texts()
        unknown = sorted(set(said) - set(texts))
        if unknown:
            raise BqmlError(
                f"Option CLASS_WEIGHTS names the class {unknown[0]!r}, which the label column does not have."
            )
        return np.array([said.get(text, 1.0) for text in texts])
    if not spec.value("auto_class_weights"):
        return None
    counts = np.bincount(codes, minlength=classes.count)
    return np.asarray(len(codes) / (np.maximum(counts, 1) * classes.count), dtype=np.float64)
