"""Query jobs: from `configuration.query` to an outcome; and what a dry run answers."""

# ruff: noqa: SLF001  # sqlglot's parser and bqemulator's internals are what is adapted here

from __future__ import annotations

from functools import lru_cache
from typing import Any

import pyarrow as pa
from bqemulator.api.dependencies import AppContext
from bqemulator.domain.errors import DomainError
from bqemulator.jobs import executor
from bqemulator.scripting.ast import SqlStmt
from bqemulator.sql.rewriter.default_dataset import qualify_unqualified_tables
from bqemulator.sql.rewriter.legacy_sql import rewrite_legacy_to_standard
from sqlglot import exp

from .costs import Costs
from .dialect import MlTableFunction, parse
from .driving import drive
from .engine import ThreadedEngine
from .errors import BigQueryError
from .job import Job, Outcome
from .job_store import JobStore
from .mends.statements import assertion
from .ml import model_statement
from .ml.create_model import training_query
from .parameters import parameters_of
from .script import Script
from .statements import Result, Session, Statements


class QueryJobs:
    """Carries out query jobs."""

    def __init__(
        self, context: AppContext, engine: ThreadedEngine, store: JobStore, statements: Statements, costs: Costs
    ) -> None:
        self._context = context
        self._engine = engine
        self._store = store
        self._statements = statements
        self._costs = costs

    def is_script(self, job: Job) -> bool:
        """Whether a job commits by itself, statement by statement."""
        if job.kind != "query":
            return False
        try:
            return _is_script(self._sql(job))
        except DomainError:
            return False

    def run(self, job: Job) -> Outcome:
        """Carry out the job in this thread's session.

        Raises:
            DomainError: as BigQuery would fail it.
        """
        sql = self._sql(job)
        if not sql.strip():
            raise BigQueryError("invalid", "Required parameter is missing: query")
        session = Session(job.project, job, parameters_of(job.section.get("queryParameters")))
        if _is_script(sql):
            return self._run_script(job, sql, session)
        if model_statement(sql):
            self._charge(job, training_query(sql))
            return self._outcome(job, self._statements.run(sql, session))
        tree = assertion(sql) or parse(sql)
        self._charge(job, tree)
        destination = job.section.get("destinationTable")
        if destination and isinstance(tree, exp.Query):
            sql = self._into(destination, tree, job)
            self._statements.run(sql, session)
            table = self.rows_of(destination, 0, 0, job)
            rows = self._count(destination, session)
            return Outcome(
                executor.build_response_schema(table.schema), rows, {"statementType": "SELECT"}, dict(destination)
            )
        return self._outcome(job, self._statements.run(sql, session, tree))

    def dry_run(self, job: Job) -> Outcome:
        """What the job would do, without doing it: schema and bytes.

        Raises:
            DomainError: as BigQuery would refuse it.
        """
        sql = self._sql(job)
        session = Session(job.project, job, parameters_of(job.section.get("queryParameters")))
        if _is_script(sql):
            return Outcome(statistics={"statementType": "SCRIPT"})
        if model_statement(sql):
            query = training_query(sql)
            self._charge(job, query)
            if query is not None:
                self._schema(query, session)
            return Outcome(statistics={"statementType": f"{model_statement(sql)}_MODEL"})
        tree = parse(sql)
        self._charge(job, tree)
        self._statements.check_models(tree, session)
        query = tree if isinstance(tree, exp.Query) else tree.args.get("expression")
        schema = self._schema(query, session) if isinstance(query, exp.Query) else []
        kind = "SELECT" if isinstance(tree, exp.Query) else executor.classify_statement_type(sql)
        job.bytes_billed = 0
        return Outcome(schema, 0, {"statementType": kind, "schema": {"fields": schema}})

    def _charge(self, job: Job, tree: exp.Expr | None) -> None:
        if tree is not None:
            job.bytes_processed, job.bytes_billed = self._costs.estimate(tree, job.project)
            self._costs.check(job.bytes_billed, job.section.get("maximumBytesBilled"))

    def _schema(self, query: exp.Expr, session: Session) -> list[dict[str, Any]]:
        """The columns of a query. ML functions tell theirs from a sample of their input."""
        self._statements.check_models(query, session)
        schema: list[dict[str, Any]] = executor.build_response_schema(self._statements.columns(query, session))
        return schema

    def _sql(self, job: Job) -> str:
        section = job.section
        sql: str = section.get("query") or ""
        if section.get("useLegacySql"):
            sql = rewrite_legacy_to_standard(sql)
        dataset = section.get("defaultDataset")
        if dataset and dataset.get("datasetId"):
            sql = qualify_unqualified_tables(
                sql, default_project=dataset.get("projectId") or job.project, default_dataset=dataset["datasetId"]
            )
        return sql

    def _run_script(self, job: Job, sql: str, session: Session) -> Outcome:
        script = Script(self._context, self._engine, self._statements, session)
        drive(script.run(sql))
        outcome = self._outcome(job, script.last)
        outcome.statistics = {"statementType": "SCRIPT"}
        outcome.extra = {"scriptStatistics": {"evaluationKind": "STATEMENT"}, "numChildJobs": str(script.executed)}
        return outcome

    def _outcome(self, job: Job, result: Result) -> Outcome:
        statistics: dict[str, Any] = dict(result.statistics)
        if result.statement_type:
            statistics["statementType"] = result.statement_type
        if result.affected_rows is not None:
            statistics["numDmlAffectedRows"] = str(result.affected_rows)
        if result.ddl_operation:
            statistics["ddlOperationPerformed"] = result.ddl_operation
        if result.target and result.statement_type.startswith("CREATE_TABLE"):
            statistics["ddlTargetTable"] = result.target
        rows = 0
        destination = result.target
        if result.table is not None:
            rows = result.table.num_rows
            self._store.write_result(job, result.table)
            destination = anonymous_table(job)
        return Outcome(result.schema, rows, statistics, destination)

    def rows_of(self, destination: dict[str, str], start: int, limit: int, job: Job) -> pa.Table:
        """A page of a destination table."""
        statement = parse(f"SELECT * FROM {_quoted(destination)} LIMIT {limit} OFFSET {start}")
        sql, _ = self._statements.translated(statement, Session(job.project, job))
        return self._engine.fetch_arrow(sql)

    # -- destination tables ---------------------------------------------------

    def _into(self, destination: dict[str, str], query: exp.Query, job: Job) -> str:
        """The statement that writes a query's rows where the job wants them.

        Raises:
            BigQueryError: the dispositions forbid it (`duplicate`, `notFound`).
        """
        key = (destination.get("projectId") or job.project, destination["datasetId"], destination["tableId"])
        shown = f"{key[0]}:{key[1]}.{key[2]}"
        if self._context.catalog.get_dataset(key[0], key[1]) is None:
            raise BigQueryError(
                "notFound", f"Not found: Dataset {key[0]}:{key[1]} was not found in location {job.location}"
            )
        exists = self._context.catalog.get_table(*key) is not None
        if not exists and job.section.get("createDisposition") == "CREATE_NEVER":
            raise BigQueryError("notFound", f"Not found: Table {shown}")
        write = job.section.get("writeDisposition") or "WRITE_EMPTY"
        body = query.sql(dialect="bigquery") if not query.find(MlTableFunction) else self._sql(job)
        if write == "WRITE_APPEND" and exists:
            return f"INSERT INTO {_quoted(destination)} {body}"
        if write == "WRITE_EMPTY" and exists and self._count(destination, Session(job.project, job)):
            raise BigQueryError("duplicate", f"Already Exists: Table {shown}")
        partition = job.section.get("timePartitioning") or {}
        by = f"PARTITION BY {_partition_sql(partition)} " if partition.get("field") else ""
        fields = (job.section.get("clustering") or {}).get("fields") or []
        cluster = f"CLUSTER BY {', '.join(fields)} " if fields else ""
        return f"CREATE OR REPLACE TABLE {_quoted(destination)} {by}{cluster}AS {body}"

    def _count(self, destination: dict[str, str], session: Session) -> int:
        sql, _ = self._statements.translated(parse(f"SELECT COUNT(*) FROM {_quoted(destination)}"), session)
        return int(self._engine.rows(sql)[0][0])


def anonymous_table(job: Job) -> dict[str, str]:
    """The table under which clients find the rows of a query that named none."""
    return {"projectId": job.project, "datasetId": ANONYMOUS_DATASET, "tableId": f"anon_{job.job_id}"}


ANONYMOUS_DATASET = "_bqloop_anonymous"


def job_of_anonymous_table(table: str) -> str:
    """The job ID behind an anonymous table's name."""
    return table.removeprefix("anon_")


def _quoted(table: dict[str, str]) -> str:
    project = f"{table['projectId']}." if table.get("projectId") else ""
    return f"`{project}{table['datasetId']}.{table['tableId']}`"


def _partition_sql(partition: dict[str, Any]) -> str:
    unit = partition.get("type") or "DAY"
    return f"{partition['field']}" if unit == "DAY" else f"TIMESTAMP_TRUNC({partition['field']}, {unit})"


@lru_cache(maxsize=64)
def _is_script(sql: str) -> bool:
    script = executor._parse_script_or_raise(sql)
    return len(script.statements) != 1 or not isinstance(script.statements[0], SqlStmt)
