"""What is particular to deals, to labels and to a model's raw rows: which fields the import fills itself, and what makes a row malformed.

A rule here is about one row by itself and about form. Whether values are plausible is asked in SQL (`checks/`), where
an analyst can see and change it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from etl.ingest.mapping import Field
from etl.ingest.prices import read_price
from etl.ingest.values import NUMERIC, Reasons, plain_or_each, refuse, told, typed

Columns = Mapping[str, pa.Array]
_SPLITS = {"training": "train", "valid": "validation", "val": "validation", "dev": "validation"}
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Kind:
    """What a file may hold.

    Attributes:
        name: `deals`, `labels` or `rows`; names the statement that lands it, too.
        table: The table that takes it.
        own: Columns of the table that the import fills, not the file.
        optional: Required columns that a file may leave out, because the import can fill them.
        attributes: The column that takes the file's other columns; None: they are left out.
        parse: Text columns by field to typed columns; notes why rows cannot be taken.
        flags: By field the command line's flag that gives it for all rows.
    """

    name: str
    table: str
    own: frozenset[str]
    optional: frozenset[str]
    attributes: str | None
    parse: Callable[[Sequence[Field], Columns, Reasons], dict[str, pa.Array]]
    flags: Mapping[str, str]


def _parse_deals(fields: Sequence[Field], text: Columns, reasons: Reasons) -> dict[str, pa.Array]:
    said: dict[int, set[str]] = {}
    columns = {}
    for field in fields:
        if field.name in {"price", "list_price"}:
            columns[field.name] = _prices(field.name, text[field.name], said, reasons)
        else:
            columns[field.name] = typed(field.name, field.type, text[field.name], reasons)
    columns["currency"] = _currencies(columns["currency"], said, reasons)
    _require(fields, text, reasons)
    return columns


def _prices(name: str, text: pa.Array, said: dict[int, set[str]], reasons: Reasons) -> pa.Array:
    """Text as prices; currencies that stand with them are added to `said`, by row."""
    amounts: dict[str, tuple[Decimal, str | None]] = {}

    def each(value: str) -> Decimal:
        amounts[value] = read_price(value)
        return amounts[value][0]

    plain = r"^[0-9]{1,29}(\.[0-9]{1,9})?$"
    column = plain_or_each(name, text, reasons, plain=plain, cast=lambda c: c.cast(NUMERIC), each=each)
    if any(currency for _, currency in amounts.values()):
        for row, value in enumerate(text.to_pylist()):
            currency = amounts.get(value, (None, None))[1]
            if currency:
                said.setdefault(row, set()).add(currency)
    return column


def _currencies(text: pa.Array, said: Mapping[int, set[str]], reasons: Reasons) -> pa.Array:
    """Currencies in upper case, filled from the prices where the field itself is empty."""
    codes = pc.utf8_upper(text)
    wrong = pc.invert(pc.fill_null(pc.match_substring_regex(codes, "^[A-Z]{3}$"), True))
    for row in pc.indices_nonzero(wrong).to_pylist():
        refuse(reasons, row, told("currency", text[row].as_py(), "is no ISO 4217 code, such as EUR"))
    if not said:
        return codes
    filled = codes.to_pylist()
    for row, named in said.items():
        both = named | ({filled[row]} if filled[row] else set())
        if len(both) > 1:
            refuse(reasons, row, f"currency: the row names {' and '.join(sorted(both))}")
        filled[row] = min(both)
    return pa.array(filled, pa.string())


def _parse_labels(fields: Sequence[Field], text: Columns, reasons: Reasons) -> dict[str, pa.Array]:
    columns = {field.name: typed(field.name, field.type, text[field.name], reasons) for field in fields}
    _require(fields, text, reasons)
    split = [_SPLITS.get(s, s) for s in pc.utf8_lower(columns["split"]).to_pylist()]
    for row, name in enumerate(split):
        if name is not None and name not in SPLITS:
            refuse(reasons, row, told("split", name, f"is none of {', '.join(SPLITS)}"))
    columns["split"] = pa.array(split, pa.string())
    same = pc.and_(
        pc.equal(columns["left_source"], columns["right_source"]), pc.equal(columns["left_id"], columns["right_id"])
    )
    for row in pc.indices_nonzero(pc.fill_null(same, False)).to_pylist():
        refuse(reasons, row, f"left_id, right_id: {columns['left_id'][row].as_py()!r} is paired with itself")
    return columns


def _require(fields: Sequence[Field], text: Columns, reasons: Reasons) -> None:
    for field in fields:
        if not field.required:
            continue
        for row in pc.indices_nonzero(pc.is_null(text[field.name])).to_pylist():
            if not any(reason.startswith(f"{field.name}:") for reason in reasons.get(row, ())):
                refuse(reasons, row, f"{field.name}: missing")


def _parse_rows(fields: Sequence[Field], text: Columns, reasons: Reasons) -> dict[str, pa.Array]:
    columns = {field.name: typed(field.name, field.type, text[field.name], reasons) for field in fields}
    _require(fields, text, reasons)
    return columns


def split_name(name: str) -> str:
    """A split by its usual other names: `val`, `valid` and `dev` are `validation`; unknown ones stay as they are."""
    lowered = name.strip().lower()
    return _SPLITS.get(lowered, lowered)


DEALS = Kind(
    name="deals",
    table="raw_deals",
    own=frozenset({"attributes", "ingested_at", "import_id", "content_hash"}),
    optional=frozenset(),
    attributes="attributes",
    parse=_parse_deals,
    flags={"source": "--source"},
)
LABELS = Kind(
    name="labels",
    table="labels",
    own=frozenset({"origin", "ingested_at", "import_id"}),
    optional=frozenset({"labelled_at"}),
    attributes=None,
    parse=_parse_labels,
    flags={"left_source": "--left-source", "right_source": "--right-source", "split": "--split"},
)


def rows_of(table: str) -> Kind:
    """The raw rows of a model of single rows: fields are whatever its table has.

    Args:
        table: The table, `rows` in model.yml.
    """
    return Kind(
        name="rows",
        table=table,
        own=frozenset({"ingested_at", "import_id", "content_hash"}),
        optional=frozenset(),
        attributes=None,
        parse=_parse_rows,
        flags={},
    )
