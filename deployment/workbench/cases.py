"""SQL unit tests: a file of `sql/`, given rows, and the rows that are expected.

A case is `tests/sql/<path of the file without .sql>/<case>.yml`:

    says: one sentence, what must hold
    given:                       rows by table; columns that the file does not read may be left out
      raw_deals: [{source: a, deal_id: "1", title: X, ingested_at: 2026-05-01 00:00:00}]
      deal_keys: [[deal_key, key], [1, k], [2, k]]    the same as a table: names first, then rows
    types: {pair_words: {price: FLOAT64}}    where the values do not tell (no rows, only NULLs)
    parameters: {candidates_within: 1}       beside those of model.yml; @as_of is 2026-06-01 where nothing is said
    models: [logistic_reg]       trained on the given training_features; the last one is the champion
    variables: {feature_columns: [price]}    what templates get beside names
    expected: rows of what the file builds or selects, or rows by table for a statement that writes
    tolerance: 1e-6

Tables of the run that are neither given nor the file's own are built first. Expected rows have no order, and only the
columns that the first of them names are looked at. What a file of `tables/` makes is there, with the given rows in it, when
it runs: it runs at every start. Of a file of `train/` the rows are the model's predictions for the given validation_set.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from google.cloud import bigquery

from deployment.sql_preview import example_context
from deployment.stages.evaluate import Scored
from deployment.stages.run import policy_of
from deployment.stages.score import Serving
from deployment.stages.tables import TABLE_FOLDERS
from deployment.stages.train import Candidate
from deployment.workbench.case_rows import Rows, as_json, compared, field_of, rows_of, type_of
from deployment.workbench.variables import EXAMPLE_DATE, context_of, given_tables
from etl.errors import InputError
from etl.names import Naming, run_slug
from etl.query_parameters import Null
from etl.settings import Settings
from etl.templates import RenderedSql, Templates, in_order
from etl.warehouse import Warehouse

NOW = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)
_KEYS = frozenset({"says", "given", "types", "parameters", "models", "variables", "expected", "tolerance"})


@dataclass(frozen=True)
class Case:
    """One case.

    Attributes:
        file: Where it stands.
        path: The template that it tests, below `sql/`.
        content: What the file says.
    """

    file: Path
    path: str
    content: Mapping[str, Any]


@dataclass(frozen=True)
class Result:
    """What became of a case.

    Attributes:
        case: The case.
        missing: Expected rows that did not come.
        unexpected: Rows that came and were not expected.
    """

    case: Case
    missing: Rows = field(default_factory=list)
    unexpected: Rows = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether the rows were those that were expected."""
        return not self.missing and not self.unexpected

    def __str__(self) -> str:
        if self.passed:
            return f"{self.case.file}: passed"
        told = [f"  missing:    {json.dumps(row, default=str)}" for row in self.missing]
        told += [f"  unexpected: {json.dumps(row, default=str)}" for row in self.unexpected]
        return f"{self.case.file}: sql/{self.case.path} gives other rows than expected\n" + "\n".join(told)


def find_cases(root: Path, paths: Sequence[str] = ()) -> Iterator[Case]:
    """The cases below a folder, in order; of the given templates, where some are given.

    Raises:
        InputError: A file is no case.
    """
    for file in sorted(root.rglob("*.yml")):
        path = f"{file.parent.relative_to(root).as_posix()}.sql"
        if not paths or path in paths:
            yield read_case(file, path)


def read_case(file: Path, path: str) -> Case:
    """Read one case.

    Raises:
        InputError: It is not YAML, or has other keys than a case has.
    """
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise InputError(f"{file} is not valid YAML: {error}") from error
    if not isinstance(content, dict) or "expected" not in content or not content.keys() <= _KEYS:
        raise InputError(f"{file}: a case has the keys {', '.join(sorted(_KEYS))}; `expected` must be there")
    return Case(file, path, content)


class Bench:
    """A BigQuery on which cases run, each in a dataset of its own.

    Args:
        client: It.
        settings: The environment of the stand-in.
        templates: The SQL under test.
    """

    def __init__(self, client: bigquery.Client, settings: Settings, templates: Templates) -> None:
        self._client = client
        self._settings = settings
        self._templates = templates
        self._schemas: dict[str, list[bigquery.SchemaField]] = {}

    def with_templates(self, templates: Templates) -> Bench:
        """The same BigQuery for other SQL."""
        other = Bench(self._client, self._settings, templates)
        other._schemas = self._schemas
        return other

    def run(self, case: Case) -> Result:
        """Run one case.

        Raises:
            InputError: The case names a table that there is not.
            TemplateError: The template does not render.
            StatementError: BigQuery refuses the statement.
        """
        return _CaseRun(self._client, self._settings, self._templates, case, self.schema_of).carry_out()

    def answer(self, case: Case) -> Rows:
        """The rows that the case's file gives for what the case gives, whatever it expects.

        Raises:
            StatementError: BigQuery refuses the statement.
        """
        return _CaseRun(self._client, self._settings, self._templates, case, self.schema_of).answer()

    def schema_of(self, kind: str, name: str) -> list[bigquery.SchemaField]:
        """Columns of a persistent table or view, as its DDL makes them, none of them required.

        Raises:
            InputError: There is no such table.
        """
        if not self._schemas:
            self._define()
        if f"{kind}.{name}" not in self._schemas:
            raise InputError(f"given: there is no {kind}.{name}. Known: {', '.join(sorted(self._schemas))}")
        return self._schemas[f"{kind}.{name}"]

    def _define(self) -> None:
        settings = _dataset(self._settings)
        model = self._templates.model
        context = example_context(settings, self._templates)
        warehouse = Warehouse(self._client, settings)
        for folder, kind, dataset in (
            ("ledger", "ledger", settings.ledger_dataset),
            (f"{model}/tables", "table", settings.dataset),
        ):
            self._client.create_dataset(dataset)
            paths = self._templates.folder(folder)
            views = [p for p in paths if " VIEW " in self._templates.sources[p]]
            for path in [*(p for p in paths if p not in views), *views]:
                warehouse.read_arrow(self._templates.render(path, context))
            for path in paths:
                name = _stem(path)
                schema = self._client.get_table(f"{settings.project}.{dataset}.{name}").schema
                self._schemas[f"{kind}.{name}"] = [
                    bigquery.SchemaField(f.name, f.field_type, "REPEATED" if f.mode == "REPEATED" else "NULLABLE")
                    for f in schema
                ]


@dataclass
class _CaseRun:
    client: bigquery.Client
    settings: Settings
    templates: Templates
    case: Case
    schema_of: Any

    def carry_out(self) -> Result:
        expected = self.case.content["expected"]
        found = self.answer()
        if not isinstance(expected, Mapping):
            return Result(self.case, *compared(rows_of(expected), found, self._tolerance))
        missing: Rows = []
        unexpected: Rows = []
        for name, rows in expected.items():
            one, other = compared(rows_of(rows), self.warehouse.rows(self._full_name(name)), self._tolerance)
            missing += [{"table": name, **row} for row in one]
            unexpected += [{"table": name, **row} for row in other]
        return Result(self.case, missing, unexpected)

    def answer(self) -> Rows:
        """Rows of what the file builds or selects; none of a statement that writes."""
        self.settings = _dataset(self.settings)
        for dataset in (self.settings.dataset, self.settings.ledger_dataset):
            self.client.create_dataset(dataset)
        self.naming = Naming.of(self.settings, self.templates.model)
        self.warehouse = Warehouse(self.client, self.settings)
        content = self.case.content
        self.tables: dict[str, dict[str, str]] = {}
        for name, rows in (content.get("given") or {}).items():
            self._put(name, rows_of(rows))
        for name in content.get("models") or ():
            self._train(name)
        for path in self._needed():
            needed = self.templates.render(path, self._context())
            self.warehouse.read_arrow(needed, self._parameters(needed))
        if self.case.path.split("/")[-2] == "train":
            return self._predictions()
        statement = self.templates.render(self.case.path, self._context())
        found = self.warehouse.read(statement, self._parameters(statement))
        built = "" if isinstance(content["expected"], Mapping) else self._built(statement)
        return self.warehouse.rows(built) if built else found

    @property
    def _tolerance(self) -> float:
        return float(self.case.content.get("tolerance", 1e-6))

    def _built(self, statement: RenderedSql) -> str:
        """The table or view that the statement makes; empty where it makes none."""
        kinds = {"features": "run_table", "evaluate": "run_table", "tables": "table", "ledger": "ledger"}
        folder, stem = self.case.path.removesuffix(".sql").split("/")[-2:]
        if folder == "predict":
            return self._full_name(f"run_table.{stem}") if stem in statement.run_tables else ""
        return self._full_name(f"{kinds[folder]}.{stem}") if folder in kinds else ""

    def _needed(self) -> list[str]:
        """The files that build what the case's own file reads and the case does not give, in their order."""
        model, templates = self.templates.model, self.templates
        paths = {_stem(p): p for folder in TABLE_FOLDERS for p in templates.folder(f"{model}/{folder}")}
        needs = {
            name: frozenset(re.findall(r"\brun_table\.(\w+)", templates.sources[path])) & paths.keys()
            for name, path in paths.items()
            if self._full_name(f"run_table.{name}") not in self.tables
        }
        own = frozenset(re.findall(r"\brun_table\.(\w+)", templates.sources[self.case.path]))
        order = in_order(needs, sorted(own - {_stem(self.case.path)}))
        return [paths[name] for name in order if paths[name] != self.case.path]

    def _qualified(self, name: str) -> str:
        """`labels` as `table.labels`: the word that templates write before a name."""
        model, templates = self.templates.model, self.templates
        run = {stem for folder in TABLE_FOLDERS for stem in templates.stems(f"{model}/{folder}")}
        for kind, stems in (("run_table", run), ("table", templates.stems(f"{model}/tables"))):
            if name in stems:
                return f"{kind}.{name}"
        return f"ledger.{name}" if name in templates.stems("ledger") else name

    def _full_name(self, name: str) -> str:
        kind, _, stem = self._qualified(name).partition(".")
        slug = run_slug(self.templates.model, f"{self.templates.model}-{EXAMPLE_DATE}")
        if kind == "run_table":
            return self.naming.run_table(slug, stem)
        if kind == "table":
            return self.naming.table(stem)
        if kind == "ledger":
            return f"{self.settings.project}.{self.settings.ledger_dataset}.{stem}"
        given = given_tables(self.settings, policy_of(self.templates), {})
        known = {full.rsplit(".", 1)[-1].split("__")[0]: full for full in given}
        if {"staging": "import"}.get(kind, kind) in known:
            return known[{"staging": "import"}.get(kind, kind)]
        raise InputError(f"given: there is no table {name}; those of the model, the ledger, staging and request are")

    def _put(self, name: str, rows: Rows) -> None:
        kind, _, stem = self._qualified(name).partition(".")
        columns = {column: [row.get(column) for row in rows] for row in rows for column in row}
        types = dict((self.case.content.get("types") or {}).get(name, {}))
        if kind in {"table", "ledger"}:
            schema = self.schema_of(kind, stem)
        else:
            kinds = {column: types.get(column) or type_of(values) for column, values in columns.items()} | types
            schema = [field_of(column, kind) for column, kind in kinds.items()]
        full_name = self._full_name(name)
        if self.case.path == self.templates.resolve(f"{self.templates.model}/tables/{stem}.sql") or (
            self.case.path == f"ledger/{stem}.sql"
        ):
            self.warehouse.read_arrow(self.templates.render(self.case.path, self._context()))
        else:
            self.client.create_table(bigquery.Table(full_name, schema=schema))
        self.tables[full_name] = {f.name: f.field_type for f in schema}
        # Streamed, because a load job is polled for longer than it takes.
        refused = self.client.insert_rows_json(full_name, [as_json(row, schema) for row in rows]) if rows else ()
        if refused:
            raise InputError(f"{self.case.file}: given {name}: {refused[0]['errors']}")

    def _context(self, **more: Any) -> dict[str, Any]:
        policy = policy_of(self.templates)
        example = example_context(self.settings, self.templates)
        context = context_of(self.settings, self.templates, self.case.path, self.tables, policy, example)
        trained = list(self.case.content.get("models") or ())
        if trained:
            model = f"`{self._model(trained[-1])}`"
            validation, test = (f"`{self._full_name(f'run_table.{n}')}`" for n in ("validation_set", "test_set"))
            context["champion"] = context["reviewed"] = Serving(model, "1")
            context["shadow"] = {**context["shadow"], "model": model}
            context["scored"] = [Scored(name, f"`{self._model(name)}`", validation, test) for name in trained]
        given = dict(self.case.content.get("variables") or {})
        if "sampled" in given:
            given["sampled"] = {**given["sampled"], "table": f"`{self._full_name(given['sampled']['table'])}`"}
        if "summarised_table" in given:
            given["summarised_table"] = f"`{self._full_name(given['summarised_table'])}`"
        return context | given | more

    def _model(self, name: str) -> str:
        slug = run_slug(self.templates.model, f"{self.templates.model}-{EXAMPLE_DATE}")
        return self.naming.candidate_model(slug, name)

    def _train(self, name: str) -> None:
        candidate = Candidate(name, f"`{self._model(name)}`", self.templates.model, (f"run-{name.replace('_', '-')}",))
        statement = self.templates.render(
            f"{self.templates.model}/train/{name}.sql", self._context(candidate=candidate)
        )
        self.warehouse.read_arrow(statement, self._parameters(statement))

    def _predictions(self) -> Rows:
        """What the case's own candidate says of the given validation rows."""
        name = _stem(self.case.path)
        self._train(name)
        rows = f"`{self._full_name('run_table.validation_set')}`"
        scored = [Scored(name, f"`{self._model(name)}`", rows, rows)]
        path = f"{self.templates.model}/evaluate/predictions.sql"
        statement = self.templates.render(path, self._context(scored=scored))
        self.warehouse.read_arrow(statement, self._parameters(statement))
        return [row for row in self.warehouse.rows(self._built_by(path)) if row["split"] == "validation"]

    def _built_by(self, path: str) -> str:
        return self._full_name(f"run_table.{_stem(path)}")

    def _parameters(self, statement: RenderedSql) -> dict[str, Any]:
        policy = policy_of(self.templates)
        found: dict[str, Any] = {
            **policy.parameters,
            "as_of": NOW,
            "run_id": f"{self.templates.model}-{EXAMPLE_DATE}",
            "model": self.templates.model,
            "threshold": 0.5,
            **(self.case.content.get("parameters") or {}),
        }
        return {n: Null("TIMESTAMP" if n == "since" else "FLOAT64") if v is None else v for n, v in found.items()}


def _dataset(settings: Settings) -> Settings:
    return settings.model_copy(update={"dataset": f"case_{uuid.uuid4().hex[:12]}"})


def _stem(path: str) -> str:
    return path.rsplit("/", 1)[-1].removesuffix(".sql")
