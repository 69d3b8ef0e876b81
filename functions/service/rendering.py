"""The templates that a table follows from, rendered under plain names: what both of the service's engines start from."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass
from types import SimpleNamespace

from sqlglot import exp

from etl.errors import ConfigurationError
from etl.model_policy import ModelPolicy
from etl.names import Namespace
from etl.templates import Templates, in_order
from functions.service.policy import ServingPolicy
from functions.service.translation import parse_select

# What the template of the pairs asked about calls them.
REQUEST_PAIRS = "request_pairs"
# A request's rows are those of now; no instant lies behind it.
AS_OF = dt.datetime(9999, 12, 31)  # noqa: DTZ001  # BigQuery's own notation of an instant in UTC, in both engines


@dataclass(frozen=True)
class Rendered:
    """One table's template.

    Attributes:
        query: Its SELECT, each table under its short name.
        path: Where it stands below sql/.
        needs: The tables that it reads.
    """

    query: exp.Query
    path: str
    needs: frozenset[str]


def rendered_tables(
    templates: Templates, policy: ModelPolicy, serving: ServingPolicy, target: str, given: Collection[str]
) -> dict[str, Rendered]:
    """The templates that a table needs, by name, each after all that it needs; one of `serve/` stands for its namesake.

    Args:
        templates: The SQL of the version.
        policy: Its policy.
        serving: Its section for the service.
        target: The table that is wanted.
        given: Tables that need no template.

    Raises:
        ConfigurationError: There is no such template.
    """
    model = templates.model
    paths = {p.rsplit("/", 1)[-1].removesuffix(".sql"): p for p in templates.folder(f"{model}/features")}
    own = {p.rsplit("/", 1)[-1].removesuffix(".sql"): p for p in templates.folder(f"{model}/serve")}
    paths |= {name: path for name, path in own.items() if name in paths}
    if target not in paths:
        raise ConfigurationError(f"sql/{model}/model.yml: serving: there is no template {target}")
    names = set(paths) | set(policy.frozen)
    context = {
        "table": Namespace("table", {name: name for name in templates.stems(f"{model}/tables")}),
        "run_table": Namespace("run_table", {name: name for name in names}),
        "policy": policy,
        "request": SimpleNamespace(pairs=REQUEST_PAIRS),
    }
    wanted, found = [target], dict[str, Rendered]()
    while wanted:
        name = wanted.pop()
        if name in found or name in given or name in policy.frozen or name not in paths:
            continue
        rendered = templates.render(paths[name], context)
        query = local(parse_select(rendered))
        found[name] = Rendered(query, rendered.path, tables_of(query))
        wanted += rendered.run_tables
        wanted += [lookup.of for n, lookup in serving.lookups.items() if n in rendered.run_tables]
    needs = {name: one.needs - set(given) for name, one in found.items()}
    needs |= {name: frozenset({lookup.of}) - set(given) for name, lookup in serving.lookups.items()}
    return {name: found[name] for name in in_order(needs, [target]) if name in found}


def tables_of(query: exp.Expr) -> frozenset[str]:
    """The tables that a query reads, its own CTEs left out."""
    own = {cte.alias for cte in query.find_all(exp.CTE)}
    return frozenset(table.name for table in query.find_all(exp.Table)) - own


def local(query: exp.Query) -> exp.Query:
    """The query with each table under its short name (BigQuery's parser splits and quotes names by its own rules)."""
    for table in query.find_all(exp.Table):
        table.set("this", exp.to_identifier(table.name))
        table.set("db", None)
        table.set("catalog", None)
    return query
