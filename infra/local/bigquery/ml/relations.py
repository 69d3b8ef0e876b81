"""The rows that pass between DuckDB and the library: as streams where nobody reads them twice, else as tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING
from uuid import uuid4

import duckdb
import pyarrow as pa
from bqemulator.storage.engine import _annotate_with_duckdb_types
from sqlglot import exp

from ..dialect import MlTableFunction
from ..emulator_errors import domain_error
from ..engine import ThreadedEngine

if TYPE_CHECKING:
    from ..statements import Session, Statements

BATCH_ROWS = 131_072


class Relations:
    """Reads queries as Arrow and registers Arrow as relations, in this thread's session."""

    def __init__(self, engine: ThreadedEngine) -> None:
        self._engine = engine

    def register(self, data: pa.Table | pa.RecordBatchReader, session: Session) -> str:
        """Make rows a relation of this thread's session until the statement ends; returns its name."""
        name = f"_ml_rows_{uuid4().hex}"
        self._engine.connection.register(name, data)
        session.views.append(name)
        return name

    def table(self, query: exp.Expr, session: Session, statements: Statements) -> pa.Table:
        """All rows of a query; of a dry run's, a sample."""
        sql, values = statements.translated(query.copy(), session)
        if session.sample is not None:
            sql = f"SELECT * FROM ({sql}) LIMIT {session.sample}"
        try:
            return self._engine.fetch_arrow(sql, values)  # type: ignore[arg-type]
        except duckdb.Error as error:
            raise domain_error(error, sql) from error

    def stream(self, query: exp.Expr, session: Session, statements: Statements) -> pa.RecordBatchReader:
        """The rows of a query as they come, read in a session beside this one.

        Only for what is committed: the other session sees neither this transaction's changes nor its relations.
        """
        sql, values = statements.translated(query.copy(), session)
        beside = self._engine.connection.cursor()
        try:
            beside.execute("SET TimeZone = 'UTC'")
            result = beside.execute(sql, values) if values else beside.execute(sql)
            described = result.description
            reader = result.to_arrow_reader(BATCH_ROWS)
        except duckdb.Error as error:
            raise domain_error(error, sql) from error
        schema = _annotate_with_duckdb_types(reader.schema.empty_table(), described).schema

        def batches() -> Iterator[pa.RecordBatch]:
            try:
                for batch in reader:
                    session.job.raise_if_cancelled()
                    yield batch.cast(schema) if batch.schema != schema else batch
            finally:
                beside.close()

        return pa.RecordBatchReader.from_batches(schema, batches())

    def evaluate(
        self, expressions: Sequence[exp.Expr], rows: pa.Table, session: Session, statements: Statements
    ) -> pa.Table:
        """Expressions of BigQuery's SQL over the rows of a table, in their order."""
        name = self.register(rows, session)
        query = exp.select(*(expression.copy() for expression in expressions)).from_(exp.to_table(name))
        return self.table(query, session, statements)


def reads_once(node: MlTableFunction) -> bool:
    """Whether the plan is sure to scan the function's result once: not in a CTE, not fed to another ML function."""
    return node.find_ancestor(exp.CTE, MlTableFunction, exp.Lateral, exp.Exists, exp.In) is None
