"""The feature SQL of a model of single rows, carried out by DuckDB: rows as the warehouse's own table has them in, features out.

The templates are those of the run that trained the version. Which columns a row has, and of what type, is read off the
table's DDL in `tables/`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import sqlglot
from sqlglot import exp

from etl.errors import ConfigurationError
from etl.model_policy import ModelPolicy
from etl.names import Namespace
from etl.templates import Templates
from functions.service.duckdb_statements import add_table, bound, step
from functions.service.policy import ServingPolicy
from functions.service.problems import Fault
from functions.service.rendering import rendered_tables
from functions.service.sql_functions import add_functions
from functions.service.translation import to_duckdb
from functions.service.values import as_bigquery

# What a request may hold, by BigQuery type; instants are UTC.
_ARROW: Mapping[str, pa.DataType] = {
    "STRING": pa.string(),
    "INT64": pa.int64(),
    "FLOAT64": pa.float64(),
    "NUMERIC": pa.decimal128(38, 9),
    "BOOL": pa.bool_(),
    "DATE": pa.date32(),
    "TIMESTAMP": pa.timestamp("us"),
}
_SPOKEN = {
    "STRING": "a string",
    "INT64": "a whole number",
    "FLOAT64": "a number",
    "NUMERIC": "a number",
    "BOOL": "true or false",
    "DATE": "a date such as 2026-11-21",
    "TIMESTAMP": "an instant such as 2026-11-21T08:00:00Z",
}
_ARRIVING = "arriving"


class RowProgram:
    """Features of single rows as one version computes them. Threads may share it.

    Args:
        templates: The SQL of the run that trained the version.
        policy: The policy of that run.
        serving: Its section for the service.
        frozen: The frozen tables of that run, by name.

    Raises:
        ConfigurationError: model.yml names no table of rows.
        TemplateError: A template uses what DuckDB does not compute as BigQuery does.
    """

    def __init__(
        self, templates: Templates, policy: ModelPolicy, serving: ServingPolicy, frozen: Mapping[str, pa.Table]
    ) -> None:
        if policy.rows is None:
            raise ConfigurationError(
                f"sql/{policy.model}/model.yml: rows: names no table, so there are no rows to ask about"
            )
        self.keys = policy.keys
        self.columns, self._filled = _columns_of(templates, policy.rows)
        self._database = duckdb.connect(config={"threads": 1})
        add_functions(self._database)
        for name, table in frozen.items():
            add_table(self._database, name, table)
        self.sql = _composed(templates, policy, serving, policy.rows)
        self.compute([])  # a statement that DuckDB refuses is told when the version is loaded, not at the first request

    def faults(self, place: str, row: Mapping[str, Any]) -> list[Fault]:
        """What is wrong with a row of a request.

        Args:
            place: JSON pointer to it.
            row: Values by column, as JSON gives them.
        """
        found = [
            Fault(f"{place}/{name}", f"there is no such column; there are {', '.join(self.columns)}")
            for name in row
            if name not in self.columns
        ]
        found += [Fault(f"{place}/{key}", "missing; it names the row") for key in self.keys if row.get(key) is None]
        for name, kind in self.columns.items():
            try:
                _value(kind, row.get(name))
            except ValueError:
                found.append(Fault(f"{place}/{name}", f"must be {_SPOKEN[kind]}"))
        return found

    def compute(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The rows of the feature table, in any order.

        Args:
            rows: Rows without `faults`; what is missing is NULL, and a column that the table fills by itself gets this instant.
        """
        now = dt.datetime.now(dt.UTC).isoformat()
        arrays = {
            name: pa.array(
                [_value(kind, row.get(name) or (now if name in self._filled else row.get(name))) for row in rows],
                _ARROW[kind],
            )
            for name, kind in self.columns.items()
        }
        connection = self._database.cursor()
        try:
            connection.register(_ARRIVING, pa.table(arrays))
            found = connection.execute(self.sql).to_arrow_table()
        finally:
            connection.close()
        return list(as_bigquery(found).to_pylist())


def _columns_of(templates: Templates, table: str) -> tuple[dict[str, str], frozenset[str]]:
    """BigQuery type by column of a table of the model, and the columns that have a default."""
    path = f"{templates.model}/tables/{table}.sql"
    names = Namespace("table", {name: name for name in templates.stems(f"{templates.model}/tables")})
    created = sqlglot.parse_one(templates.render(path, {"table": names}).text, dialect="bigquery")
    columns, filled = {}, set()
    for column in created.find_all(exp.ColumnDef):
        kind = column.args["kind"].sql("bigquery")
        if kind in _ARROW:
            columns[column.name] = kind
        if column.find(exp.DefaultColumnConstraint):
            filled.add(column.name)
    return columns, frozenset(filled)


def _composed(templates: Templates, policy: ModelPolicy, serving: ServingPolicy, rows: str) -> str:
    """One DuckDB statement for the features: each table that they follow from is a common table expression."""
    steps = [step(rows, f"SELECT * FROM {_ARRIVING}")]
    for name, one in rendered_tables(templates, policy, serving, serving.features, {rows}).items():
        steps.append(step(name, bound(to_duckdb(one.query, one.path), policy).sql("duckdb")))
    return f'WITH {", ".join(steps)} SELECT * FROM "{serving.features}"'


def _value(kind: str, value: Any) -> Any:
    """A JSON value as a value of a BigQuery type.

    Raises:
        ValueError: It is of another type.
    """
    if value is None:
        return None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "STRING" and isinstance(value, str):
        return value
    if kind == "BOOL" and isinstance(value, bool):
        return value
    if kind == "INT64" and number and float(value).is_integer() and abs(value) < 2**63:
        return int(value)
    if kind == "FLOAT64" and number:
        return float(value)
    if kind == "NUMERIC" and (number or isinstance(value, str)):
        try:
            return round(Decimal(str(value)), 9)
        except ArithmeticError as error:
            raise ValueError(kind) from error
    if kind == "DATE" and isinstance(value, str):
        return dt.date.fromisoformat(value)
    if kind == "TIMESTAMP" and isinstance(value, str):
        moment = dt.datetime.fromisoformat(value)
        return moment if moment.tzinfo is None else moment.astimezone(dt.UTC).replace(tzinfo=None)
    raise ValueError(kind)
