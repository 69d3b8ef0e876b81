"""What each file gives, column by column: what it is, and from which columns it is computed, down to the tables that come in.

Read off the statements with sqlglot, so that it needs neither BigQuery nor Google's analyzer. A statement that sqlglot does
not take (some of BigQuery ML) has inputs and no columns.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.lineage import lineage
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import build_scope

from deployment.sql_preview import example_context
from deployment.stages.run import policy_of
from deployment.stages.tables import TABLE_FOLDERS
from deployment.workbench.project import Project, ordered
from deployment.workbench.variables import context_of, given_tables
from etl.errors import TemplateError
from etl.settings import Settings
from etl.templates import Templates

# Table and column, as templates name them: ("table.raw_deals", "title").
Place = tuple[str, str]
_NAME = re.compile(r"(?:\bAS\s+|^\s*(?:\w+\.)?)`?([A-Za-z_]\w*)`?\s*,?\s*$", re.IGNORECASE)


@dataclass(frozen=True)
class Column:
    """One column that a file gives.

    Attributes:
        name: Its name.
        type: Its type where DDL says it, else "".
        description: What the DDL or the comment above it says; where it is passed on as it is, what is said where it comes from.
        reads: The columns that it is computed from in this file.
        roots: The columns of persistent tables that it is computed from in the end.
    """

    name: str
    type: str
    description: str
    reads: tuple[Place, ...]
    roots: tuple[Place, ...]


@dataclass
class Lineage:
    """What the files of a model give, and from what.

    Attributes:
        columns: By template, in its order; empty where the statement is not understood.
        inputs: By template, the tables that it reads, as templates name them.
    """

    columns: dict[str, list[Column]] = field(default_factory=dict)
    inputs: dict[str, list[str]] = field(default_factory=dict)


def trace_columns(settings: Settings, templates: Templates, path: str) -> Lineage:
    """Trace every column of a file, and of the files that build what it reads.

    Raises:
        ConfigurationError: model.yml is wrong.
    """
    project = Project(settings, templates, policy_of(templates))
    example = example_context(settings, templates)
    found = Lineage()
    known: dict[str, dict[str, Column]] = {}
    wanted = {path, *_behind(templates, path)}
    for each in (each for each in ordered(project) if each in wanted):
        tables = project.tables | given_tables(settings, project.policy, project.tables)
        try:
            context = context_of(settings, templates, each, tables, project.policy, example)
            tree = sqlglot.parse_one(templates.render(each, context).text, read="bigquery")
        except (TemplateError, SqlglotError):
            continue
        made = _name(tree.this.find(exp.Table)) if isinstance(tree, exp.Create) else ""
        read = dict.fromkeys(_name(table) for table in tree.find_all(exp.Table) if table.db)
        found.inputs[each] = [project.short_name(name) for name in read if name != made]
        columns = list(_columns(project, each, tree, tables, known))
        found.columns[each] = columns
        if made and columns and tree.args.get("kind") != "MODEL":
            project.tables[made] = {column.name: column.type or "STRING" for column in columns}
            known[project.short_name(made)] = {column.name: column for column in columns}
    return found


def _behind(templates: Templates, path: str) -> set[str]:
    """The files that build what a file reads, directly or through others."""
    builders: dict[str, str] = {}
    for kind, folders in (("run_table", TABLE_FOLDERS), ("table", ("tables",))):
        for folder in folders:
            builders |= {f"{kind}.{_stem(p)}": p for p in templates.folder(f"{templates.model}/{folder}")}
    builders |= {f"ledger.{_stem(p)}": p for p in templates.folder("ledger")}
    found: set[str] = set()
    stack = [path]
    while stack:
        text = templates.sources[stack.pop()]
        named = set(re.findall(r"\b(?:run_table|table|ledger)\.\w+", text))
        named |= {"run_table.training_features"} if "feature_columns" in text else set()
        more = {builders[name] for name in named if name in builders} - found
        found |= more
        stack += more
    return found


def _stem(path: str) -> str:
    return path.rsplit("/", 1)[-1].removesuffix(".sql")


def _columns(
    project: Project,
    path: str,
    tree: Any,
    tables: Mapping[str, Mapping[str, str]],
    known: Mapping[str, Mapping[str, Column]],
) -> Iterator[Column]:
    if isinstance(tree, exp.Create) and isinstance(tree.this, exp.Schema):
        for definition in tree.this.find_all(exp.ColumnDef):
            yield Column(definition.name, _type(definition), _described(definition), (), ())
        return
    query: Any = tree.expression if isinstance(tree, exp.Create | exp.Insert) else tree
    query = query.this if isinstance(query, exp.Export) else query
    if not isinstance(query, exp.Query):
        return
    try:
        qualified = qualify(
            query,
            schema=_schema(tables),
            dialect="bigquery",
            quote_identifiers=False,
            identify=False,
            validate_qualify_columns=False,  # keywords such as NFKD look like columns to it
        )
        scope = build_scope(qualified)
        edges = {name: _reads(project, name, qualified, scope) for name in qualified.named_selects}
    except SqlglotError:
        return
    comments = dict(_comments(project.templates.sources[path]))
    for name, reads in edges.items():
        roots: set[Place] = set()
        for table, column in reads:
            before = known.get(table, {}).get(column)
            roots |= set(before.roots) if before and before.roots else {(table, column)}
        passed = [known[table][name] for table, column in reads if column == name and name in known.get(table, {})]
        only = passed[0] if len(reads) == 1 and passed else None
        yield Column(
            name,
            only.type if only else "",
            comments.get(name) or (only.description if only else ""),
            tuple(sorted(reads)),
            tuple(sorted(roots)),
        )


def _reads(project: Project, name: str, query: Any, scope: Any) -> set[Place]:
    found = set()
    for node in lineage(name, query, scope=scope, dialect="bigquery", trim_selects=False).walk():
        if isinstance(node.source, exp.Table) and not node.downstream:
            column = node.name.rsplit(".", 1)[-1].strip('`"')
            found.add((project.short_name(_name(node.source)), column))
    return found


def _schema(tables: Mapping[str, Mapping[str, str]]) -> dict[str, object]:
    found: dict[str, Any] = {}
    for full_name, columns in tables.items():
        project, dataset, name = full_name.split(".")
        found.setdefault(project, {}).setdefault(dataset, {})[name] = dict(columns)
    return found


def _name(table: Any) -> str:
    return f"{table.catalog}.{table.db}.{table.name}" if table is not None else ""


def _type(definition: exp.ColumnDef) -> str:
    kind = definition.args.get("kind")
    return str(kind.sql(dialect="bigquery")) if kind is not None else ""


def _described(definition: exp.ColumnDef) -> str:
    for option in definition.find_all(exp.Property, exp.EQ):
        if option.this.name.lower() == "description":
            value = option.args.get("value") or option.expression
            return str(value.name)
    return ""


def _comments(text: str) -> Iterator[tuple[str, str]]:
    """For each column of a template the comment that stands straight above it."""
    above: list[str] = []
    fresh = False
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("--"):
            above = [*above, stripped.removeprefix("--").strip()] if fresh else [stripped.removeprefix("--").strip()]
            fresh = True
            continue
        fresh = False
        name = _NAME.search(line)
        if name and above and line.rstrip().endswith((",", name[1], "`")):
            yield name[1], " ".join(above)
        if not stripped or stripped.endswith(","):
            above = []
