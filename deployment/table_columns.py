"""Columns that a table of an earlier version lacks beside its DDL.

`CREATE TABLE IF NOT EXISTS` leaves a table that stands as it is: what an upgrade added to the file would be missing, and
the rows that hold it would be refused. So a table that stands is compared with its DDL. Columns are added, at the end and
NULLABLE whatever the DDL says (no value is known for the rows that are there), and nothing else is ever changed: a column
of another type is refused by name, and columns that the DDL does not know stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import sqlglot
from google.api_core import exceptions as api
from google.cloud import bigquery
from sqlglot import exp
from sqlglot.errors import SqlglotError

from etl.errors import StateError
from etl.templates import RenderedSql
from etl.warehouse import Warehouse

_STANDARD_NAMES = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL", "DECIMAL": "NUMERIC"}
_RECORDS = {"RECORD", "STRUCT"}


def make_table(warehouse: Warehouse, statement: RenderedSql) -> None:
    """Carry out a file of DDL; a table that stands already gets the columns that it lacks.

    Raises:
        StateError: A column stands with another type than the file says.
        StatementError: BigQuery refuses the statement.
        UnavailableError: BigQuery cannot be reached.
    """
    if not add_missing_columns(warehouse, statement):
        warehouse.read_arrow(statement)


def add_missing_columns(warehouse: Warehouse, statement: RenderedSql) -> bool:
    """Add the columns that a table lacks beside its DDL.

    Returns:
        Whether there was such a table: False where it is still to be made, and for views.

    Raises:
        StateError: A column stands with another type than the file says.
        StatementError: BigQuery refuses the change.
        UnavailableError: BigQuery cannot be reached.
    """
    try:
        create = sqlglot.parse_one(statement.text, dialect="bigquery")
    except SqlglotError:
        return False  # BigQuery says what is wrong with it, or knows better
    if not isinstance(create, exp.Create) or create.kind != "TABLE" or not isinstance(create.this, exp.Schema):
        return False
    table = create.this.this
    try:
        standing = warehouse.schema(".".join(part.name for part in table.parts))
    except api.NotFound:
        return False
    missing = missing_columns(_columns(create.this), standing, place=statement.place(1))
    if missing:
        alter = exp.Alter(this=table.copy(), kind="TABLE", actions=[_nullable(column) for column in missing])
        text = alter.sql(dialect="bigquery", pretty=True)
        origins = tuple((statement.path, 1) for _ in text.splitlines())
        warehouse.read_arrow(RenderedSql(statement.path, text, origins, frozenset(), frozenset()))
    return True


def missing_columns(
    wanted: Iterable[exp.ColumnDef], standing: Sequence[bigquery.SchemaField], *, place: str
) -> list[exp.ColumnDef]:
    """The columns of a DDL that a table has not, in the DDL's order.

    Args:
        wanted: The DDL's columns.
        standing: The table's.
        place: Where the DDL stands, for the error.

    Raises:
        StateError: A column stands with another type.
    """
    types = {field.name.lower(): standard_type(field) for field in standing}
    missing = []
    for column in wanted:
        there, asked = types.get(column.name.lower()), column.args["kind"].sql(dialect="bigquery")
        if there is None:
            missing.append(column)
        elif _plain(there) != _plain(asked):
            raise StateError(
                f"{place}: column {column.name} is {asked}, but it stands in the table as {there}; a column's type is "
                "never changed here. Give the new one another name, or make the table anew by hand"
            )
    return missing


def standard_type(field: bigquery.SchemaField) -> str:
    """A column's type in GoogleSQL, as a DDL has it.

    >>> standard_type(bigquery.SchemaField("tags", "STRING", mode="REPEATED"))
    'ARRAY<STRING>'
    >>> standard_type(bigquery.SchemaField("price", "NUMERIC", precision=10, scale=2))
    'NUMERIC(10, 2)'
    """
    if field.field_type in _RECORDS:
        inner = ", ".join(f"{part.name} {standard_type(part)}" for part in field.fields)
        kind = f"STRUCT<{inner}>"
    else:
        limits = [str(limit) for limit in (field.max_length, field.precision, field.scale) if limit]
        kind = _STANDARD_NAMES.get(field.field_type, field.field_type) + (f"({', '.join(limits)})" if limits else "")
    return f"ARRAY<{kind}>" if field.mode == "REPEATED" else kind


def _columns(schema: exp.Schema) -> list[exp.ColumnDef]:
    return [column for column in schema.expressions if isinstance(column, exp.ColumnDef)]


def _plain(kind: str) -> str:
    return kind.replace(" ", "").upper()


def _nullable(column: exp.ColumnDef) -> exp.ColumnDef:
    added = column.copy()
    added.pop_comments()
    added.set("exists", True)
    kept = [c for c in added.args.get("constraints") or () if not isinstance(c.kind, exp.NotNullColumnConstraint)]
    added.set("constraints", kept)
    return added
