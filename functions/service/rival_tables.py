"""The tables that rivals are read from: those of a request's own pairs, and beside them the rows that the index keeps.

A pair's standing is wanted for the request's own pairs alone. So the templates read the kept rows under one alias, that of the rivals,
and the request's own pairs everywhere else.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp

from functions.service.engine.columns import EngineError
from functions.service.rendering import tables_of

# Suffix of a table with the rows of known rivals among its own.
WITH_RIVALS = "@rivals"


def beside_rivals(queries: Mapping[str, exp.Query], ranked: str, alias: str) -> dict[str, exp.Query]:
    """The queries, those that read rivals from tables with known ones.

    Args:
        queries: By table, each after all that it needs.
        ranked: The table of which rows are kept.
        alias: What rivals are called where they are read.

    Raises:
        EngineError: None of them reads rivals under this alias.
    """
    following = {ranked}
    for name, query in queries.items():
        if tables_of(query) & following:
            following.add(name)
    found: dict[str, exp.Query] = {}

    def widened(name: str) -> str:
        wide = name + WITH_RIVALS
        if wide not in found:
            query = exp.select("*").from_(name) if name == ranked else queries[name].copy()
            if name != ranked:
                for table in query.find_all(exp.Table):
                    if table.name in following:
                        table.set("this", exp.to_identifier(widened(table.name)))
            found[wide] = query
        return wide

    for name, original in queries.items():
        query = original.copy()
        for table in query.find_all(exp.Table):
            if table.alias == alias and table.name in following:
                table.set("this", exp.to_identifier(widened(table.name)))
        found[name] = query
    if len(found) == len(queries):
        raise EngineError(f"no template reads what follows from {ranked} as {alias}")
    return found
