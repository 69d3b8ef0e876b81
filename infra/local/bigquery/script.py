"""Multi-statement scripts: bqemulator's interpreter of the procedural language over our statements and real transactions.

Outside a transaction each statement commits by itself, as in BigQuery; what a script did before it failed stays. Between
BEGIN TRANSACTION and COMMIT, DuckDB's own transaction holds everything. After an error inside a transaction the only
statement that still works is ROLLBACK TRANSACTION (DuckDB's rule; BigQuery would let the handler go on).
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pyarrow as pa
from bqemulator.api.dependencies import AppContext
from bqemulator.domain.errors import DomainError, InvalidQueryError
from bqemulator.scripting.ast import BeginStmt
from bqemulator.scripting.exceptions import BreakSignal, ContinueSignal, ReturnSignal, ScriptRaise
from bqemulator.scripting.interpreter import ScriptInterpreter, _classify_txn_statement
from sqlglot import exp

from .dialect import MlBigQuery, parse
from .engine import ThreadedEngine
from .mends.statements import assertion
from .ml import model_statement
from .parameters import VARIABLE_PREFIX, Parameter
from .statements import Result, Session, Statements

ERROR = "__error_message__"
"""The variable that the interpreter keeps `@@error.message` in."""


class Script(ScriptInterpreter):
    """One run of one script. `last` is the result of its last statement: the script's own."""

    def __init__(self, context: AppContext, engine: ThreadedEngine, statements: Statements, session: Session) -> None:
        super().__init__(context, session.project, caller=session.caller)
        self._engine = engine
        self._statements = statements
        self._session = session
        self.last = Result("SCRIPT")
        self.executed = 0

    async def run(self, source: str) -> Any:
        """Carry the script out; a transaction that is left open is rolled back, temporary tables go."""
        try:
            return await super().run(source)
        except ScriptRaise as raised:
            raise raised.error from raised
        except (BreakSignal, ContinueSignal, ReturnSignal):
            return None
        finally:
            if self._engine.in_transaction:
                self._engine.rollback()
                self._statements.refresh_catalog(self._session.job)
            self._drop_temporary_tables()

    def _drop_temporary_tables(self) -> None:
        for kind, name in self._engine.rows(
            "SELECT 'TABLE', table_name FROM duckdb_tables() WHERE temporary "
            "UNION ALL SELECT 'VIEW', view_name FROM duckdb_views() WHERE temporary AND NOT internal"
        ):
            self._engine.execute(f'DROP {kind} IF EXISTS temp."{name}"')

    # -- what the interpreter asks for ---------------------------------------

    async def _exec_sql(self, sql: str) -> None:
        statement = sql.strip()
        if not statement:
            return
        self._session.job.raise_if_cancelled()
        self.executed += 1
        control = _classify_txn_statement(statement)
        if control is not None:
            self._transaction(control)
            self.last = Result(f"{control}_TRANSACTION")
        else:
            self.last = self._run(statement)

    async def _run_query(self, bq_sql: str) -> pa.Table:
        result = self._run(bq_sql)
        return result.table if result.table is not None else pa.table({})

    async def _run_statement_with_params(self, bq_sql: str, using_values: list[Any]) -> None:
        self.last = self._run(bq_sql, using_values)

    async def _run_query_with_params(self, bq_sql: str, using_values: list[Any]) -> pa.Table:
        result = self._run(bq_sql, using_values)
        return result.table if result.table is not None else pa.table({})

    async def _exec_begin(self, stmt: BeginStmt) -> None:
        if stmt.exception_handler is None:
            await self._run_block(stmt.body, frame_kind="block")
            return
        try:
            await self._run_block(stmt.body, frame_kind="block")
        except (ScriptRaise, DomainError) as error:
            self._session.job.raise_if_cancelled()
            self._frames.push(kind="block")
            self._frames.declare(ERROR, "STRING", error.message)
            try:
                for statement in stmt.exception_handler:
                    await self._exec_statement(statement)
            finally:
                self._frames.pop()

    # -- how it is done ------------------------------------------------------

    def _transaction(self, control: str) -> None:
        if control == "BEGIN":
            if self._engine.in_transaction:
                raise InvalidQueryError("Transactions cannot be nested", location="query")
            self._engine.begin()
        elif not self._engine.in_transaction:
            raise InvalidQueryError(f"{control} TRANSACTION without a transaction that is open", location="query")
        elif control == "COMMIT":
            self._engine.commit()
        else:
            self._engine.rollback()
            self._statements.refresh_catalog(self._session.job)

    def _run(self, sql: str, using: list[Any] | None = None) -> Result:
        parameters = dict(self._session.parameters)
        tree = None
        if model_statement(sql) in (None, "CREATE"):
            tree = assertion(sql) or parse(self._rewrite_temp_calls(sql))
            self._place_variables(tree, parameters)
        for place, value in enumerate(using or []):
            parameters[f"_position_{place}"] = Parameter(f"_position_{place}", None, value)
        text = sql if tree is None or isinstance(tree, exp.Command) else tree.sql(dialect=MlBigQuery)
        session = replace(self._session, parameters=parameters, views=[], shared=True)
        if self._engine.in_transaction:
            return self._statements.run(text, session, tree)
        self._engine.begin()
        try:
            result = self._statements.run(text, session, tree)
            self._engine.commit()
        except BaseException:
            self._engine.rollback()
            self._statements.refresh_catalog(self._session.job)
            raise
        return result

    def _place_variables(self, tree: exp.Expr, parameters: dict[str, Parameter]) -> None:
        """Put each script variable in as a named parameter; `@@error.message` too."""
        visible = {name.lower(): variable for name, variable in self._frames.all_visible().items()}
        for dotted in list(tree.find_all(exp.Dot)):
            if re.sub(r"[^a-z._]", "", dotted.sql(dialect="bigquery").lower()) == "error.message" and ERROR in visible:
                dotted.replace(self._parameter(ERROR, "STRING", visible[ERROR].value, parameters))
        for column in list(tree.find_all(exp.Column)):
            holder = visible.get(column.table.lower()) if column.table else None
            if holder is not None and isinstance(holder.value, dict) and column.name in holder.value:
                name = f"{column.table}_{column.name}".lower()
                placed = self._parameter(name, None, holder.value[column.name], parameters)
            elif not column.table and column.name.lower() in visible:
                variable = visible[column.name.lower()]
                kind = (
                    variable.type_name
                    if variable.type_name and variable.type_name.upper() not in ("ANY", "STRUCT")
                    else None
                )
                placed = self._parameter(column.name.lower(), kind, variable.value, parameters)
            else:
                continue
            if isinstance(column.parent, exp.Select) and column.arg_key == "expressions":
                placed = exp.alias_(placed, column.name)
            column.replace(placed)

    def _parameter(self, name: str, kind: str | None, value: Any, parameters: dict[str, Parameter]) -> exp.Expr:
        full = f"{VARIABLE_PREFIX}{name}"
        parameters[full] = Parameter(full, kind, value)
        return exp.Parameter(this=exp.Var(this=full))
