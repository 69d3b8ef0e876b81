"""What the columns of some rows look like: the first thing to look at after a change."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

_BARS = " ▁▂▃▄▅▆▇█"
_BINS = 12


@dataclass(frozen=True)
class ColumnProfile:
    """One column of a sample.

    Attributes:
        column: Its name.
        type: Its Arrow type.
        nulls: Share of NULLs, 0 to 1.
        distinct: Different values, NULL left out.
        least: The least value; None where the type has no order or there is none.
        greatest: The greatest value.
        histogram: For numbers, a bar for each twelfth of the range from least to greatest.
    """

    column: str
    type: str
    nulls: float
    distinct: int | None
    least: Any
    greatest: Any
    histogram: str


def profile(rows: pa.Table) -> list[ColumnProfile]:
    """Profile each column of a sample, in its order."""
    return [_profiled(name, rows.column(name)) for name in rows.column_names]


def _profiled(name: str, values: pa.ChunkedArray) -> ColumnProfile:
    kind = values.type
    nulls = values.null_count / len(values) if len(values) else 0.0
    if pa.types.is_nested(kind):
        return ColumnProfile(name, str(kind), nulls, None, None, None, "")
    ends = pc.min_max(values).as_py() if len(values) and not pa.types.is_null(kind) else {"min": None, "max": None}
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    numbers = pc.drop_null(values).cast(pa.float64(), safe=False).to_pylist() if is_number else []
    return ColumnProfile(
        name, str(kind), nulls, pc.count_distinct(values).as_py(), ends["min"], ends["max"], _histogram(numbers)
    )


def _histogram(numbers: Sequence[float]) -> str:
    known = [number for number in numbers if math.isfinite(number)]
    if not known or min(known) == max(known):
        return ""
    low, width = min(known), (max(known) - min(known)) / _BINS
    counts = [0] * _BINS
    for number in known:
        counts[min(int((number - low) / width), _BINS - 1)] += 1
    top = max(counts)
    return "".join(_BARS[-(-count * (len(_BARS) - 1) // top)] for count in counts)
