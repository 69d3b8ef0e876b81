"""What DDL says about a table besides its columns: clustering, partitions, description, labels, expiry."""

# ruff: noqa: SLF001  # sqlglot's parser and bqemulator's internals are what is adapted here

from __future__ import annotations

from datetime import datetime
from typing import Any

from bqemulator.api.dependencies import AppContext
from bqemulator.catalog import ddl_sync
from bqemulator.catalog.models import Clustering, TableSchema, TimePartitioning
from bqemulator.storage.sql_identifiers import quoted_table_ref
from sqlglot import exp

from .errors import BigQueryError
from .ml.option_values import value_of

UNITS = ("DAY", "HOUR", "MONTH", "YEAR")


def describe(tree: exp.Create | exp.Alter, project: str, context: AppContext) -> None:
    """Bring the catalog's entry of a table that was made or altered up to date."""
    if (tree.args.get("kind") or "").upper() not in ("TABLE", "VIEW"):
        return
    target = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
    key = (target.catalog or project, target.db, target.name)
    meta = context.catalog.get_table(*key) if target.db else None
    if meta is None:
        return
    altered = isinstance(tree, exp.Alter)
    schema = ddl_sync._introspect_schema(*key, context) if altered else meta.schema_
    schema = _with_descriptions(schema, meta.schema_ if altered else TableSchema(), tree)
    changes: dict[str, Any] = {"schema_": _with_types_of_duckdb(schema, key, context)}
    if isinstance(tree, exp.Create):
        properties = tree.args.get("properties")
        for item in properties.expressions if properties is not None else []:
            changes |= _property(item)
    context.catalog.update_table(meta.model_copy(update=changes))


def _with_descriptions(schema: TableSchema, former: TableSchema, tree: exp.Create | exp.Alter) -> TableSchema:
    """The schema with what DuckDB does not keep: descriptions of the columns that were there, and of those that are new."""
    told = {field.name.lower(): field.description for field in former.fields}
    new = tree.args.get("actions") if isinstance(tree, exp.Alter) else tree.this.expressions
    for column in new or ():
        for option in column.find_all(exp.Property) if isinstance(column, exp.ColumnDef) else ():
            if option.name.lower() == "description":
                told[column.name.lower()] = option.args["value"].name
    fields = (f.model_copy(update={"description": told.get(f.name.lower())}) for f in schema.fields)
    return TableSchema(fields=tuple(fields))


def _with_types_of_duckdb(schema: TableSchema, key: tuple[str, str, str], context: AppContext) -> TableSchema:
    """The schema with what Arrow, from which bqemulator reads it, does not tell: JSON from text, sums from NUMERIC."""
    described = context.engine.execute(f"DESCRIBE {quoted_table_ref(*key)}").fetchall()
    kinds = {
        str(name): {"JSON": "JSON", "HUGEINT": "INTEGER"}.get(str(kind).upper().removesuffix("[]"))
        for name, kind, *_ in described
    }
    fields = (
        field.model_copy(update={"type": kinds[field.name]}) if kinds.get(field.name) else field
        for field in schema.fields
    )
    return TableSchema(fields=tuple(fields))


def _property(item: exp.Expr) -> dict[str, Any]:
    if type(item).__name__ in ("Cluster", "ClusterProperty", "ClusteredByProperty"):
        return {"clustering": Clustering(fields=tuple(column.name for column in item.expressions))}
    if isinstance(item, exp.PartitionedByProperty):
        said = item.this.args.get("unit")
        unit = said.name.upper() if said is not None and said.name.upper() in UNITS else "DAY"
        column = item.find(exp.Column) or item.find(exp.Identifier)
        return {"time_partitioning": TimePartitioning(type=unit, field=column.name)} if column is not None else {}
    if isinstance(item, exp.Property):
        name = (item.this if isinstance(item.this, str) else item.this.name).lower()
        return _option(name, item.args["value"])
    return {}


def sets_options(tree: exp.Expr) -> bool:
    """Whether a statement is ALTER TABLE (or VIEW) SET OPTIONS."""
    if not isinstance(tree, exp.Alter):
        return False
    return any(
        "OPTIONS" in action.sql(dialect="bigquery").upper()[:12] or isinstance(action, exp.AlterSet)
        for action in tree.args.get("actions") or []
    )


def alter_options(tree: exp.Expr, project: str, context: AppContext) -> None:
    """Carry out ALTER TABLE SET OPTIONS.

    Raises:
        BigQueryError: `notFound`; or an option that is not known.
    """
    target = tree.this
    meta = context.catalog.get_table(target.catalog or project, target.db, target.name)
    if meta is None:
        if tree.args.get("exists"):
            return
        raise BigQueryError("notFound", f"Not found: Table {target.catalog or project}:{target.db}.{target.name}")
    changes: dict[str, Any] = {"last_modified_time": context.clock.now()}
    for item in tree.find_all(exp.Property):
        name = (item.this if isinstance(item.this, str) else item.this.name).lower()
        changes |= _option(name, item.args["value"])
    context.catalog.update_table(meta.model_copy(update=changes))


def _option(name: str, value: exp.Expr) -> dict[str, Any]:
    if name == "labels":
        return {"labels": dict(value_of(value, {}) or [])}
    if name in ("description", "friendly_name"):
        return {name: value_of(value, {})}
    if name == "expiration_timestamp":
        return {"expiration_time": _moment(value)}
    if name in (
        "partition_expiration_days",
        "require_partition_filter",
        "kms_key_name",
        "max_staleness",
        "default_rounding_mode",
    ):
        return {}
    raise BigQueryError("invalidQuery", f"Unknown table option: {name}", location="query")


def _moment(value: exp.Expr) -> datetime | None:
    literal = value.find(exp.Literal)
    return datetime.fromisoformat(literal.name) if literal is not None else None
