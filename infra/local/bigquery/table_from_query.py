"""`CREATE TABLE ... AS SELECT`, the statement that nearly all of the loop consists of, apart: its query and what is around it.

bqemulator parses a statement some ten times to find out what kind of DDL it is and what it names. All of that stands
around the query, so it is asked of the statement with the shortest of queries in it; and the query is translated as it
was for the dry run, which has been remembered.
"""

from __future__ import annotations

from dataclasses import dataclass

from bqemulator.catalog.repository import CatalogRepository
from bqemulator.storage.sql_identifiers import quoted_table_ref
from sqlglot import exp


@dataclass(frozen=True)
class TableFromQuery:
    """The two parts of a statement.

    Attributes:
        head: DuckDB's `CREATE TABLE ... AS ` up to the query.
        query: BigQuery's query.
    """

    head: str
    query: exp.Query


def table_from_query(tree: exp.Expr, project: str, catalog: CatalogRepository) -> TableFromQuery | None:
    """The parts of a plain `CREATE [OR REPLACE] TABLE [IF NOT EXISTS] dataset.table ... AS query`.

    None for any other statement: with a list of columns, TEMP, into a dataset that is not there, ...
    """
    if not isinstance(tree, exp.Create) or str(tree.args.get("kind")).upper() != "TABLE":
        return None
    target, query = tree.this, tree.args.get("expression")
    if not isinstance(target, exp.Table) or not isinstance(query, exp.Query) or not target.db:
        return None
    properties = tree.args.get("properties")
    if properties is not None and any(isinstance(item, exp.TemporaryProperty) for item in properties.expressions):
        return None
    owner = target.catalog or project
    if catalog.get_dataset(owner, target.db) is None:
        return None
    replace = " OR REPLACE" if tree.args.get("replace") else ""
    exists = " IF NOT EXISTS" if tree.args.get("exists") else ""
    return TableFromQuery(f"CREATE{replace} TABLE{exists} {quoted_table_ref(owner, target.db, target.name)} AS ", query)


def outline(tree: exp.Expr) -> str:
    """The statement in BigQuery's SQL with `SELECT 1` for its query."""
    query = tree.args["expression"]
    tree.set("expression", exp.select("1"))
    text = tree.sql(dialect="bigquery")
    tree.set("expression", query)
    return text
