"""A model's SQL analysed whole: every file after those whose columns it reads, each against what they were found to give.

The catalogue comes from the DDL in `tables/` and `ledger/` and from the statements themselves: nobody writes it down.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from deployment.sql_preview import example_context
from deployment.stages.run import policy_of
from deployment.stages.tables import TABLE_FOLDERS
from deployment.workbench.findings import Finding, finding_at
from deployment.workbench.google_sql import Analysis, SqlMistake, analyse
from deployment.workbench.variables import LENIENT, context_of, given_tables, parameter_types
from etl.errors import TemplateError
from etl.model_policy import ModelPolicy
from etl.settings import Settings
from etl.templates import RenderedSql, Templates, in_order

_TOLD = re.compile(r"sql/(?P<file>[^:\s]+):(?P<line>\d+): (?P<what>.*)", re.DOTALL)


@dataclass
class Project:
    """What is known of a model's SQL.

    Attributes:
        settings: The environment whose names are used.
        templates: The SQL.
        policy: Its policy.
        tables: Types by column, by full name, of every table and view.
        statements: Rendered statement by template.
        analyses: Analysis by template; a template that is wrong has none.
        findings: What is wrong.
        unchecked: Template by template what it needs that is wrong itself.
    """

    settings: Settings
    templates: Templates
    policy: ModelPolicy
    tables: dict[str, Mapping[str, str]] = field(default_factory=dict)
    statements: dict[str, RenderedSql] = field(default_factory=dict)
    analyses: dict[str, Analysis] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    unchecked: dict[str, str] = field(default_factory=dict)

    @property
    def paths(self) -> list[str]:
        """All statements, in the order in which they were analysed or would have been."""
        return [p for p in self.templates.sources if p.endswith(".sql") and not p.startswith("macros/")]

    def short_name(self, table: str) -> str:
        """The name that templates use for a table: `run_table.x`, `table.x` or `ledger.x`."""
        name = table.rsplit(".", 1)[-1]
        if "__" in name:
            return f"run_table.{name.rsplit('__', 1)[-1]}"
        ledger = f".{self.settings.ledger_dataset}." in table
        return f"{'ledger' if ledger else 'table'}.{name}"


def analyse_project(settings: Settings, templates: Templates) -> Project:
    """Render and analyse every statement of a model.

    Raises:
        ConfigurationError: model.yml is wrong, or zetasql is not installed.
    """
    project = Project(settings, templates, policy_of(templates))
    example = example_context(settings, templates)
    for path in ordered(project):
        _analyse(project, path, example)
    return project


def ordered(project: Project) -> list[str]:
    """The templates, definitions first, then the run's tables as they need each other, then what only reads."""
    model, templates = project.templates.model, project.templates
    definitions = [*templates.folder("ledger"), *templates.folder(f"{model}/tables")]
    texts = {path: templates.sources[path] for path in definitions}
    needs = {
        path: frozenset(
            other for other in definitions if other != path and re.search(rf"\b(table|ledger)\.{_stem(other)}\b", text)
        )
        for path, text in texts.items()
    }
    built = {_stem(p): p for folder in TABLE_FOLDERS for p in templates.folder(f"{model}/{folder}")}
    uses = {}
    for name, path in built.items():
        asked = re.findall(r"\brun_table\.(\w+)", templates.sources[path])
        given = {"validation_set", "test_set"} if "scored" in templates.sources[path] else set()
        if "feature_columns" in templates.sources[path]:
            given.add("training_features")
        uses[name] = frozenset((set(asked) | given) & set(built))
    try:
        order = [*in_order(needs, definitions), *(built[name] for name in in_order(uses, list(built)))]
    except TemplateError as error:
        first = next(iter(built.values()))
        project.findings.append(Finding(f"sql/{first}", 1, 1, "circle", str(error)))
        order = [*definitions, *built.values()]
    return [*order, *(path for path in sorted(project.paths) if path not in order)]


def _stem(path: str) -> str:
    return path.rsplit("/", 1)[-1].removesuffix(".sql")


def _analyse(project: Project, path: str, example: Mapping[str, Any]) -> None:
    settings, templates, policy = project.settings, project.templates, project.policy
    tables = project.tables | given_tables(settings, policy, project.tables)
    try:
        statement = templates.render(path, context_of(settings, templates, path, tables, policy, example))
    except TemplateError as error:
        project.findings.append(_told(str(error), path))
        project.unchecked[path] = path
        return
    project.statements[path] = statement
    broken = [p for p in project.unchecked if _needs(project, statement, p)]
    if broken:
        project.unchecked[path] = broken[0]
        return
    known = parameter_types(policy, path)
    lenient = path.split("/")[-2] in LENIENT
    unknown = sorted(statement.parameters - known.keys())
    if unknown and not lenient:
        line = next((n for n, text in enumerate(statement.text.splitlines(), 1) if f"@{unknown[0]}" in text), 1)
        column = statement.text.splitlines()[line - 1].find(f"@{unknown[0]}") + 2
        told = f"@{unknown[0]} is no parameter here. Known: {', '.join('@' + n for n in sorted(known))}"
        project.findings.append(finding_at(templates, statement, line, column, "parameter", told))
        project.unchecked[path] = path
        return
    asked = {name: kind for name, kind in known.items() if name in statement.parameters}
    try:
        found = analyse(statement.text, tables, asked, labels=_labels(project), lenient=lenient)
    except SqlMistake as mistake:
        told = _without_names(project, mistake.message)
        project.findings.append(finding_at(templates, statement, mistake.line, mistake.column, "analyzer", told))
        project.unchecked[path] = path
        return
    project.analyses[path] = found
    if found.creates and found.columns and "Model" not in found.kind and found.creates not in project.tables:
        project.tables[found.creates] = found.columns


def _needs(project: Project, statement: RenderedSql, broken: str) -> bool:
    """Whether a statement reads what a broken template would have built."""
    name = _stem(broken)
    if broken.split("/")[-2] in TABLE_FOLDERS:
        return name in statement.run_tables
    return broken.split("/")[-2] in {"tables", "ledger"} and bool(re.search(rf"\.{name}`", statement.text))


def _labels(project: Project) -> dict[str, str]:
    label = project.policy.label
    kinds = [c[label] for name, c in project.tables.items() if label in c and name.endswith("__training_features")]
    return {label: kinds[0] if kinds else "BOOL"}


def _without_names(project: Project, message: str) -> str:
    """An analyzer's message with the names that templates use in the place of full ones."""
    return re.sub(
        r"`?[\w-]+\.(?:\w+)\.(\w+)`?",
        lambda m: project.short_name(m[0].strip("`")) if f".{m[1]}" in m[0] else m[0],
        message,
    )


def _told(message: str, path: str) -> Finding:
    found = _TOLD.match(message)
    if not found:
        return Finding(f"sql/{path}", 1, 1, "jinja", message)
    what = found["what"].splitlines()[0]
    shown = found["what"].splitlines()[1:]
    text = shown[-1].split("|", 1)[-1].removeprefix(" ") if shown else ""
    word = re.search(r"'(\w+)'", what)
    place = re.search(r"\.(\w+) is unknown", what)
    name = place[1] if place else word[1] if word else ""
    column = text.find(name) + 1 if name and name in text else len(text) - len(text.lstrip()) + 1
    return Finding(f"sql/{found['file']}", int(found["line"]), column, "jinja", what)
