"""Carries out one SQL statement in this thread's session: what to run, in which order, and what to write down of it.

The way is bqemulator's (rewrite, translate, qualify, run, bring the catalog up to date); what differs is that ML
statements are carried out, parameters are bound by DuckDB, and the result is told apart from DuckDB's own status rows.
"""

# ruff: noqa: SLF001  # sqlglot's parser and bqemulator's internals are what is adapted here

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

import duckdb
import pyarrow as pa
from bqemulator.api.dependencies import AppContext
from bqemulator.catalog import ddl_sync
from bqemulator.catalog.duckdb_repository import DuckDBCatalogRepository
from bqemulator.domain.errors import DomainError
from bqemulator.jobs import executor
from bqemulator.jobs.routine_ddl import detect_drop_routine, run_drop_routine
from bqemulator.row_access.identity import CallerIdentity
from bqemulator.sql.inner_query import rewrite_and_translate_statement
from bqemulator.sql.table_rewriter import rewrite_table_refs
from bqemulator.versioning.time_travel import _resolve_target_ts
from sqlglot import exp

from . import mends
from .catalog import reload_catalog
from .dialect import parse
from .driving import drive
from .emulator_errors import domain_error
from .engine import ThreadedEngine
from .errors import BigQueryError
from .export_data import DataExport, refuse_logical_types
from .job import Job
from .job_views import JobViews
from .mends.json_values import json_paths
from .mends.statements import assertion, spell_out_insert_row
from .mends.whole_numbers import query_as_int64, store_as_int64
from .ml import MlStatements
from .parameters import Parameter, place_parameters, used_values
from .table_from_query import outline, table_from_query
from .table_options import alter_options, describe, sets_options
from .time_travel import TimeTravel
from .translation import Memory, Source, Translator, only_tables, tables_as_they_are

ANONYMOUS = CallerIdentity(principal="user:local@bqloop.invalid", is_authenticated=False)


SAMPLE = 100
"""Rows of input from which a dry run's ML functions tell their columns."""


@dataclass
class Session:
    """What the statements of one job share."""

    project: str
    job: Job
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    caller: CallerIdentity = ANONYMOUS
    shared: bool = False
    """Whether earlier statements may have left something that only this thread's DuckDB session sees."""
    sample: int | None = None
    """How many rows ML functions are given at most: a dry run asks for columns only."""
    views: list[str] = field(default_factory=list)
    """Relations registered in this thread's DuckDB session for the statement that runs."""


@dataclass
class Result:
    """What a statement gives. `table` is None where BigQuery shows no rows."""

    statement_type: str = ""
    table: pa.Table | None = None
    schema: list[dict[str, Any]] = field(default_factory=list)
    affected_rows: int | None = None
    ddl_operation: str | None = None
    target: dict[str, str] | None = None
    statistics: dict[str, Any] = field(default_factory=dict)


class Statements:
    """Carries out statements on one warehouse."""

    def __init__(self, context: AppContext, engine: ThreadedEngine, ml: MlStatements, views: JobViews) -> None:
        self._context = context
        self._engine = engine
        self._ml = ml
        self._views = views
        self._translator = Translator()
        self._memory = Memory()
        self._exports = DataExport(context, engine)

    @property
    def time_travel(self) -> TimeTravel:
        """The earlier states of tables."""
        return cast("TimeTravel", self._context.snapshots)

    def refresh_catalog(self, job: Job) -> None:
        """To be called after a rollback: reads the catalog again if the job has touched it."""
        if job.touched_catalog:
            job.touched_catalog = False
            reload_catalog(cast("DuckDBCatalogRepository", self._context.catalog))

    def run(self, sql: str, session: Session, tree: exp.Expr | None = None) -> Result:
        """Carry out one statement; `tree` is its syntax tree, where the caller has it.

        Raises:
            DomainError: as BigQuery would refuse it or fail.
        """
        session.job.raise_if_cancelled()
        try:
            about_model = self._ml.run_statement(sql, session, self)
            if about_model is not None:
                return about_model
            return self._run_sql(sql, tree or assertion(sql) or parse(sql), session)
        except DomainError:
            raise
        except duckdb.Error as error:
            raise domain_error(error) from error
        finally:
            self._release(session)

    def _release(self, session: Session) -> None:
        for view in session.views:
            self._engine.connection.unregister(view)
        session.views.clear()

    def ready(self, tree: exp.Expr, session: Session) -> exp.Expr:
        """A query with the results of its ML functions in their places."""
        return self._ml.replace_functions(tree, session, self)

    def columns(self, query: exp.Expr, session: Session) -> pa.Schema:
        """The columns that a query would give, without carrying it out.

        Raises:
            DomainError: as BigQuery would refuse it.
        """
        session = replace(session, sample=SAMPLE, views=[])
        try:
            sql, values = self.translated(self.ready(query.copy(), session), session)
            try:
                return self._engine.fetch_arrow(f"SELECT * FROM ({sql}) LIMIT 0", values).schema  # type: ignore[arg-type]
            except duckdb.Error as error:
                raise domain_error(error, sql) from error
        finally:
            self._release(session)

    def check_models(self, tree: exp.Expr, session: Session) -> None:
        """Refuse a query that names a model or an ML function that does not exist; for dry runs."""
        self._ml.check(tree, session)

    def translated(self, tree: exp.Expr, session: Session) -> tuple[str, dict[str, Any] | None]:
        """DuckDB's SQL for a statement without ML functions, and its parameter values."""
        values = place_parameters(tree, session.parameters)
        tree = self._views.register(tree, session, self._engine)
        self._go_back_in_time(tree, session)
        tree = json_paths(tree, self._json_columns(tree, session))
        tree = mends.before_translation(tree)
        sql = tree.sql(dialect="bigquery")
        tables = tables_as_they_are(tree, session.project, self._context.catalog)
        source = None if tables is None else Source.of(sql, tables, session.project, session.caller.principal)
        kept = None if source is None else self._memory.get(source)
        if kept is not None:
            return kept, used_values(kept, values)
        if tables is not None and only_tables(tables):
            translated = self._translator.translate_plain(sql, tables, session.caller)
        else:
            translated = drive(
                rewrite_and_translate_statement(
                    sql,
                    project_id=session.project,
                    ctx=self._context,
                    caller=session.caller,
                    translator=self._translator,
                )
            )
        try:
            duckdb_sql = rewrite_table_refs(translated, session.project)
        except DomainError as error:
            raise domain_error(error, translated) from error
        if source is not None:
            self._memory.put(source, duckdb_sql)
        return duckdb_sql, used_values(duckdb_sql, values)

    def _json_columns(self, tree: exp.Expr, session: Session) -> set[str]:
        """The columns of type JSON in the tables that a statement names."""
        found: set[str] = set()
        for table in tree.find_all(exp.Table):
            meta = (
                self._context.catalog.get_table(table.catalog or session.project, table.db, table.name)
                if table.db
                else None
            )
            if meta is not None:
                found |= {field.name.lower() for field in meta.schema_.fields if field.type == "JSON"}
        return found

    def _go_back_in_time(self, tree: exp.Expr, session: Session) -> None:
        """Replace each `table FOR SYSTEM_TIME AS OF t` by the rows that the table had."""
        for table in list(tree.find_all(exp.Table)):
            version = table.args.get("version")
            if version is None or not table.db:
                continue
            key = (table.catalog or session.project, table.db, table.name)
            meta = self._context.catalog.get_table(*key)
            if meta is not None and meta.table_type == "VIEW":
                raise BigQueryError("notImplemented", f"FOR SYSTEM_TIME AS OF on the view {table.db}.{table.name}")
            state = self.time_travel.state_at(*key, _resolve_target_ts(version, self._engine))
            table.set("version", None)
            if state is None:
                continue
            (project, dataset, name), rows = state
            source = exp.table_(name, db=dataset, catalog=project or None, quoted=True)
            table.replace(exp.select("*").from_(source).limit(rows).subquery(table.alias_or_name))

    # -- one statement ------------------------------------------------------

    def _run_sql(self, sql: str, tree: exp.Expr, session: Session) -> Result:
        if isinstance(tree, exp.Alter) and len(tree.args.get("actions") or ()) > 1:
            # DuckDB takes one change at a time; the job's transaction holds them together.
            for action in tree.args["actions"]:
                single = tree.copy()
                single.set("actions", [action.copy()])
                result = self._run_sql(single.sql(dialect="bigquery"), single, session)
            return result
        tree = self._ml.replace_functions(tree, session, self)
        if isinstance(tree, exp.Merge):
            spell_out_insert_row(tree, self._columns(tree.this, session.project))
        made_of = table_from_query(tree, session.project, self._context.catalog)
        plain = outline(tree) if made_of else tree.sql(dialect="bigquery") if not isinstance(tree, exp.Command) else sql
        kind = _statement_type(plain, tree)
        if sets_options(tree):
            session.job.touched_catalog = True
            alter_options(tree, session.project, self._context)
            return Result("ALTER_TABLE", ddl_operation="REPLACE")
        if kind == "EXPORT_DATA":
            return self._export(plain, session)
        ddl = self._bqemulator_ddl(plain, kind, session)
        if ddl is not None:
            return ddl
        project = session.project
        executor._reject_dml_on_immutable(project, plain, self._context)
        operation = executor._guard_and_resolve_single_ddl(plain, kind, project, self._context)
        if operation == "SKIP" and kind == "CREATE_VIEW":  # bqemulator's catalog would take the new query all the same
            return Result(kind, ddl_operation=operation)
        targets = executor._dml_target_tables(tree, project) if executor._is_dml(tree) else []
        for target in targets:
            self.time_travel.before_change(*target, append_only=isinstance(tree, exp.Insert))
        replaced = self._before_ddl(tree, project) if isinstance(tree, (exp.Create, exp.Drop)) else None
        duckdb_sql, values = self.translated(made_of.query.copy() if made_of else tree.copy(), session)
        try:
            if made_of:
                duckdb_sql = made_of.head + query_as_int64(duckdb_sql, values, self._engine.connection)
            elif kind == "CREATE_TABLE_AS_SELECT":
                duckdb_sql = store_as_int64(duckdb_sql, values, self._engine.connection)
            table = self._engine.fetch_arrow(duckdb_sql, values)  # type: ignore[arg-type]
        except duckdb.Error as error:
            raise domain_error(error, duckdb_sql) from error
        session.job.touched_catalog |= isinstance(tree, (exp.Create, exp.Drop))
        if isinstance(tree, exp.Create):
            ddl_sync.sync_created_schema(plain, project, self._context)
            ddl_sync.sync_created_table(plain, project, self._context)
            ddl_sync.sync_created_view(plain, project, self._context)
        if isinstance(tree, exp.Drop):
            ddl_sync.sync_dropped_object(plain, project, self._context)
        if isinstance(tree, (exp.Create, exp.Alter)):
            session.job.touched_catalog = True
            describe(tree, session.project, self._context)
        for target in [*targets, *([replaced] if replaced else [])]:
            self.time_travel.record_change(*target)
        return self._result(table, kind, plain, operation, session)

    def _columns(self, target: exp.Table, project: str) -> list[str]:
        meta = self._context.catalog.get_table(target.catalog or project, target.db, target.name)
        return [field.name for field in meta.schema_.fields] if meta is not None else []

    def _before_ddl(self, tree: exp.Create | exp.Drop, project: str) -> tuple[str, str, str] | None:
        """A table that is dropped takes its history with it; of one that is replaced it is kept. Returns the latter."""
        target = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
        if (tree.args.get("kind") or "").upper() != "TABLE" or not isinstance(target, exp.Table) or not target.db:
            return None
        key = (target.catalog or project, target.db, target.name)
        if isinstance(tree, exp.Drop):
            self.time_travel.forget(*key)
            return None
        if not tree.args.get("replace"):
            return None
        if self._reads(tree.args.get("expression"), key, project):
            self.time_travel.before_change(*key, append_only=False)
        else:
            self.time_travel.before_replacement(*key)
        return key

    def _reads(self, query: exp.Expr | None, key: tuple[str, str, str], project: str) -> bool:
        """Whether a query reads a table, as far as one can tell: it may through a view."""
        if query is None:
            return False
        named = [table for table in query.find_all(exp.Table) if table.db]
        if any(isinstance(table.this, exp.Func) for table in named):
            return True
        keys = {(table.catalog or project, table.db, table.name) for table in named}
        metas = [self._context.catalog.get_table(*named_key) for named_key in keys]
        return key in keys or any(meta is None or meta.table_type != "TABLE" for meta in metas)

    def _bqemulator_ddl(self, sql: str, kind: str, session: Session) -> Result | None:
        """DDL that bqemulator carries out by itself: routines, row access policies, snapshots, clones, views."""
        session.job.touched_catalog |= kind not in ("SELECT", "INSERT", "UPDATE", "DELETE", "MERGE")
        routine = detect_drop_routine(sql, session.project)
        if routine is not None:
            operation = drive(run_drop_routine(routine, self._context))
            return Result(routine.statement_type, ddl_operation=operation)
        if executor._maybe_run_row_access_ddl(session.project, sql, self._context) is not None:
            return Result(kind)
        if drive(executor._maybe_run_versioning_ddl(session.project, sql, self._context)) is not None:
            return Result(kind or "CREATE_SNAPSHOT_TABLE")
        return None

    def _export(self, sql: str, session: Session) -> Result:
        request = executor.parse_export_data(sql)
        if request is None:
            raise BigQueryError("invalidQuery", "Malformed EXPORT DATA statement.", location="query")
        refuse_logical_types(sql)
        duckdb_sql, values = self.translated(parse(request.select_sql), session)
        try:
            table = self._engine.fetch_arrow(duckdb_sql, values)  # type: ignore[arg-type]
        except duckdb.Error as error:
            raise domain_error(error, duckdb_sql) from error
        files, rows = self._exports.write(table, request.options)
        return Result(
            "EXPORT_DATA",
            statistics={
                "exportDataStatistics": {"fileCount": str(files), "rowCount": str(rows)},
                "transferredBytes": "0",
            },
        )

    def _result(self, table: pa.Table, kind: str, sql: str, operation: str | None, session: Session) -> Result:
        shown, affected, schema = executor._finalize_statement_result(
            table, kind, bq_sql=sql, project_id=session.project, ctx=self._context
        )
        if kind == "SELECT" or (not kind and shown.num_columns):
            return Result(kind or "SELECT", shown, executor.build_response_schema(shown.schema))
        return Result(
            kind,
            None,
            schema or [],
            affected_rows=affected,
            ddl_operation=operation,
            target=_target(sql, session.project) if kind.startswith("CREATE_TABLE") else None,
        )


def _statement_type(sql: str, tree: exp.Expr) -> str:
    if isinstance(tree, exp.Query):
        return "SELECT"
    kind: str = executor.classify_statement_type(sql)
    return kind


def _target(sql: str, project: str) -> dict[str, str] | None:
    table = ddl_sync._detect_plain_create_table(sql)
    if table is None:
        return None
    owner, dataset, name = ddl_sync._split_target(table, project)
    return {"projectId": owner, "datasetId": dataset, "tableId": name}
