"""Which column of a file fills which field of a table; settled, or refused, before anything is loaded."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from google.cloud.bigquery import SchemaField

from etl.errors import InputError


@dataclass(frozen=True)
class Field:
    """A field that an import may fill: a column of the table, as BigQuery tells it.

    Attributes:
        name: Its name.
        type: BigQuery's type, such as `STRING`.
        required: Whether a row without it is refused.
    """

    name: str
    type: str
    required: bool


@dataclass(frozen=True)
class FieldMap:
    """What fills each field.

    Attributes:
        columns: Column by field.
        constants: Value by field, the same for all rows.
        others: The columns that fill no field.
    """

    columns: Mapping[str, str]
    constants: Mapping[str, str]
    others: tuple[str, ...]


def fields_of(
    schema: Iterable[SchemaField], *, own: Collection[str], optional: Collection[str] = ()
) -> tuple[Field, ...]:
    """The fields of a table that a file may fill: all but the import's `own`.

    Args:
        schema: The table's columns.
        own: Columns that the import alone fills.
        optional: Columns that the import fills where the file does not: they are not required of it.
    """
    return tuple(
        Field(f.name, f.field_type, f.mode == "REQUIRED" and f.name not in optional)
        for f in schema
        if f.name not in own
    )


def map_fields(
    fields: Sequence[Field],
    columns: Sequence[str],
    mapping: Mapping[str, str],
    constants: Mapping[str, str],
    *,
    flags: Mapping[str, str] | None = None,
) -> FieldMap:
    """Settle what fills each field: a constant, else the mapped column, else the column of the field's own name.

    Args:
        fields: The fields of the table.
        columns: The columns of the file.
        mapping: Column by field, as `--map FIELD=COLUMN` gives it.
        constants: Value by field, as flags such as `--source` give it.
        flags: By field the flag that gives it for all rows.

    Raises:
        InputError: A field or column is not there, a field is given twice, or a required one has nothing to fill it;
            the text lists what there is.
    """
    names = [f.name for f in fields]
    flags = flags or {}
    for name in mapping:
        if name not in names:
            raise InputError(f"--map {name}={mapping[name]}: {_unknown('field', name, names)}")
        if name in constants:
            raise InputError(f"--map {name}={mapping[name]}: {flags[name]} {constants[name]} gives the same field")
        if mapping[name] not in columns:
            raise InputError(f"--map {name}={mapping[name]}: {_unknown('column', mapping[name], columns)}")
    chosen = dict(mapping)
    taken = set(mapping.values())
    own_name = {column.lower(): column for column in reversed(columns)}
    for name in names:
        column = own_name.get(name.lower())
        if name not in chosen and name not in constants and column is not None and column not in taken:
            chosen[name] = column
    missing = [f.name for f in fields if f.required and f.name not in {*chosen, *constants}]
    if missing:
        ways = [f"--map {m}=COLUMN" + (f" or {flags[m]} VALUE" if m in flags else "") for m in missing]
        raise InputError(
            f"nothing fills {', '.join(missing)}. Pass {' and '.join(ways)}. "
            f"The file has the columns: {', '.join(columns)}"
        )
    used = set(chosen.values())
    return FieldMap(chosen, dict(constants), tuple(c for c in columns if c not in used))


def _unknown(what: str, name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    return f"there is no {what} {name!r}.{hint} The {what}s are: {', '.join(known)}"
