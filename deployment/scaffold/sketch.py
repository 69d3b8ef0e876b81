"""What a new model is about, read off a table: its columns, which of them is the label, which names a row, which are features.

Guesses that a person can change in the files afterwards; what is guessed is told.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from etl.errors import InputError

Task = Literal["regression", "classification"]
# BigQuery's type by DuckDB's; what is not listed is read as text.
_TYPES = {
    "BOOLEAN": "BOOL",
    "DATE": "DATE",
    "DOUBLE": "FLOAT64",
    "FLOAT": "FLOAT64",
    "TIMESTAMP": "TIMESTAMP",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP",
    **dict.fromkeys(("TINYINT", "SMALLINT", "INTEGER", "BIGINT"), "INT64"),
}
_NUMBERS = frozenset({"INT64", "FLOAT64"})
# A text with more different values than this, on more than a twentieth of the rows, is no category.
_CATEGORIES = 50
# A slice of more values than this has too few rows in each.
_SLICE_VALUES = 8


@dataclass(frozen=True)
class Column:
    """One column of the table.

    Attributes:
        name: What the table in BigQuery calls it.
        given: What the file calls it.
        type: Its BigQuery type.
        distinct: How many values it has.
    """

    name: str
    given: str
    type: str
    distinct: int


@dataclass(frozen=True)
class Sketch:
    """A model to be.

    Attributes:
        name: Name of its folder.
        task: Kind of label.
        columns: All columns of the table of raw rows.
        keys: Those that name a row.
        label: What is to be known.
        group: Rows that share its value are on one side of the split.
        features: Columns that are features as they stand.
        left_out: Columns that are none, by name, with the reason.
        positive: The label's value that counts as positive; "" for a regression.
        spread: Standard deviation of the label; 1 where it is no number.
        rows: How many rows the file has.
    """

    name: str
    task: Task
    columns: tuple[Column, ...]
    keys: tuple[str, ...]
    label: str
    group: str
    features: tuple[str, ...]
    left_out: dict[str, str]
    positive: str = ""
    spread: float = 1.0
    rows: int = 0

    def column(self, name: str) -> Column:
        """The column of that name."""
        return next(column for column in self.columns if column.name == name)

    @property
    def slices(self) -> tuple[str, ...]:
        """Features with so few values that each makes a slice."""
        few = [self.column(name) for name in self.features]
        return tuple(c.name for c in few if c.type in {"STRING", "BOOL"} and 1 < c.distinct <= _SLICE_VALUES)[:2]


def sketch_of_file(
    name: str, path: Path, *, task: Task | None = None, label: str = "", keys: Sequence[str] = (), group: str = ""
) -> Sketch:
    """Read a table and guess what is not said.

    Args:
        name: The model's name.
        path: CSV with a header.
        task: Kind of label; by default a regression where the label is a number of many values.
        label: The column to predict; by default the last one.
        keys: The columns that name a row; by default the first whose values are all there and all different.
        group: The column by which rows are split; by default the first key.

    Raises:
        InputError: The file cannot be read, a column is not there, or nothing names a row.
    """
    if not path.is_file():
        raise InputError(f"--from {path}: there is no such file")
    try:
        table = duckdb.read_csv(str(path), header=True, sample_size=-1)
        data = pa.Table.from_batches(table.to_arrow_reader()) if hasattr(table, "to_arrow_reader") else table.arrow()
        kinds = [str(kind) for kind in table.types]
    except duckdb.Error as error:
        raise InputError(f"--from {path}: it cannot be read as CSV: {str(error).splitlines()[0]}") from error
    columns = tuple(
        Column(_named(given), given, _TYPES.get(kind, "STRING"), pc.count_distinct(data.column(given)).as_py())
        for given, kind in zip(data.column_names, kinds, strict=True)
    )
    names = [column.name for column in columns]
    if len(set(names)) < len(names) or not data.num_rows:
        raise InputError(f"--from {path}: it needs rows, and columns that differ in more than case and punctuation")
    label = _known(_named(label), names, "--label") if label else names[-1]
    found_keys = tuple(_known(_named(key), names, "--key") for key in keys) or _unique(columns, data, label)
    told = next(column for column in columns if column.name == label)
    values = data.column(told.given)
    guessed: Task = "regression" if told.type in _NUMBERS and told.distinct > 2 else "classification"
    wanted = task or guessed
    if wanted == "regression" and told.type not in _NUMBERS:
        raise InputError(f"--kind regression: {label} is {told.type}, no number; a regression needs one")
    return _sketch(
        name,
        wanted,
        columns,
        label=label,
        keys=found_keys,
        group=_known(_named(group), names, "--group") if group else found_keys[0],
        positive=_rarer(values) if wanted == "classification" else "",
        spread=_spread(values) if told.type in _NUMBERS else 1.0,
        rows=data.num_rows,
    )


def sketch_without_file(name: str, task: Task = "regression") -> Sketch:
    """A model of made-up columns, to be changed by hand."""
    kinds = {"row_id": "STRING", "category": "STRING", "amount": "FLOAT64", "pieces": "INT64"}
    kinds["target"] = "FLOAT64" if task == "regression" else "BOOL"
    columns = tuple(Column(column, column, kind, 5) for column, kind in kinds.items())
    positive = "" if task == "regression" else "true"
    return _sketch(name, task, columns, label="target", keys=("row_id",), group="row_id", positive=positive)


def _sketch(
    name: str,
    task: Task,
    columns: tuple[Column, ...],
    *,
    label: str,
    keys: tuple[str, ...],
    group: str,
    positive: str,
    spread: float = 1.0,
    rows: int = 0,
) -> Sketch:
    left_out: dict[str, str] = {}
    for column in columns:
        if column.type in {"DATE", "TIMESTAMP"}:
            left_out[column.name] = f"a {column.type}: say what of it matters"
        elif column.type == "STRING" and column.distinct > max(_CATEGORIES, rows / 20):
            left_out[column.name] = f"a text of {column.distinct} values: say what in it matters"
        elif column.name == group and column.name not in keys:
            left_out[column.name] = (
                "the group by which rows are split: what is learned of it is of no use for a new one"
            )
    others = [c.name for c in columns if c.name not in {*keys, label}]
    features = tuple(c for c in others if c not in left_out)
    if not features:
        raise InputError(f"no column is left to learn from: {label} is the label, {', '.join(keys)} names a row")
    told = {column: why for column, why in left_out.items() if column in others}
    return Sketch(name, task, columns, keys, label, group, features, told, positive, spread, rows)


def _named(given: str) -> str:
    """A column's name as BigQuery takes it, in lower case."""
    name = re.sub(r"[^a-z0-9_]+", "_", given.strip().lower()).strip("_")
    return name if name and not name[0].isdigit() else f"c_{name}"


def _known(name: str, names: Sequence[str], flag: str) -> str:
    if name not in names:
        raise InputError(f"{flag} {name}: there is no such column; there are {', '.join(names)}")
    return name


def _unique(columns: Sequence[Column], data: pa.Table, label: str) -> tuple[str, ...]:
    for column in columns:
        whole = column.distinct == data.num_rows and not data.column(column.given).null_count
        if whole and column.type in {"STRING", "INT64"} and column.name != label:
            return (column.name,)
    raise InputError(
        "no column names each row: say which ones do, with --key COLUMN (repeat it where it takes several)"
    )


def _rarer(values: pa.ChunkedArray) -> str:
    """The rarer of two values, as model.yml writes it."""
    counts = {row["values"]: row["counts"] for row in pc.value_counts(values.drop_null()).to_pylist()}
    if len(counts) != 2:
        raise InputError(f"--kind classification: the label has {len(counts)} values; two are needed")
    rarer = min(counts, key=lambda value: (counts[value], str(value)))
    return str(rarer).lower() if isinstance(rarer, bool) else repr(rarer) if isinstance(rarer, str) else str(rarer)


def _spread(values: pa.ChunkedArray) -> float:
    found = pc.stddev(values.drop_null()).as_py()
    return float(found) if found else 1.0
