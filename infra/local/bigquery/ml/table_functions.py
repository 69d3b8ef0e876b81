"""`ML.*` in a query: each call's input is read, the library is asked, and its answer takes the call's place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from sqlglot import exp

from ...bqml import BqmlError, Model, call
from ...bqml.table_functions import FUNCTIONS, OF_MODEL, WITHOUT_MODEL
from ..dialect import KNOWN_TO_BIGQUERY, MlModel, MlTable, MlTableFunction
from ..errors import BigQueryError
from ..parameters import Parameter
from . import transform
from .model_store import ModelStore
from .names import key_of
from .option_values import struct_of, value_of
from .relations import Relations, reads_once

if TYPE_CHECKING:
    from ..statements import Session, Statements

STREAMS = ("PREDICT", "EXPLAIN_PREDICT")
JUDGING = ("EVALUATE", "ROC_CURVE", "CONFUSION_MATRIX")
"""Functions that compare with labels. Their columns are the same with data and without."""


class TableFunctions:
    """Puts the results of ML table functions into queries."""

    def __init__(self, models: ModelStore, relations: Relations) -> None:
        self._models = models
        self._relations = relations

    def replace_all(self, tree: exp.Expr, session: Session, statements: Statements) -> exp.Expr:
        """`tree` with each call replaced by a relation of this thread's session; the innermost calls first.

        Raises:
            BigQueryError: as BigQuery refuses the call.
        """
        refuse_unknown(tree)
        calls = list(tree.find_all(MlTableFunction))
        if not calls:
            return tree
        single = len(calls) == 1 and not session.shared and session.sample is None
        order = {id(node): place for place, node in enumerate(tree.walk(bfs=False))}
        for node in sorted(calls, key=lambda node: (-_depth(node), order[id(node)])):
            place = node.parent if isinstance(node.parent, exp.Table) else node
            result = self._carry_out(node, session, statements, may_stream=single and reads_once(node))
            name = self._relations.register(result, session)
            alias = place.args.get("alias")
            relation = exp.Table(this=exp.to_identifier(name), alias=alias.copy() if alias else None)
            for key in ("joins", "pivots", "laterals", "sample"):
                if place.args.get(key):
                    relation.set(
                        key,
                        [item.copy() for item in place.args[key]]
                        if isinstance(place.args[key], list)
                        else place.args[key].copy(),
                    )
            place.replace(relation)
        return tree

    def check(self, tree: exp.Expr, session: Session) -> None:
        """Refuse a query that names a model or a function that does not exist, without reading anything."""
        refuse_unknown(tree)
        for model in tree.find_all(MlModel):
            self._models.get(key_of(model.this, session.project))

    def _carry_out(
        self, node: MlTableFunction, session: Session, statements: Statements, *, may_stream: bool
    ) -> pa.Table | pa.RecordBatchReader:
        name = str(node.this)
        arguments = _Arguments.of(node, session.parameters)
        try:
            model = self._model(arguments, name, session)
            if name in STREAMS and may_stream and arguments.queries and model and not transform.is_transformed(model):
                query = _with_ctes(arguments.queries[0], node)
                return call(name, model, self._relations.stream(query, session, statements), arguments.options)
            if session.sample is not None and model is not None and name in JUDGING:
                return call(name, model, None, {})
            tables = [
                self._relations.table(_with_ctes(query, node), session, statements) for query in arguments.queries
            ]
            if name == "TRANSFORM":
                return self._transform(model, tables, session, statements)
            if model is not None and transform.is_transformed(model) and tables and name not in OF_MODEL:
                return self._through_transform(name, model, tables[0], arguments.options, session, statements)
            if name == "VALIDATE_DATA_DRIFT":
                base, study = _exactly(name, tables, 2)
                return call(name, None, base, arguments.options, study=study)
            if len(tables) > 1:
                raise BigQueryError("invalidQuery", f"ML.{name} takes one input table", location="query")
            return call(name, model, tables[0] if tables else None, arguments.options)
        except BqmlError as error:
            raise BigQueryError(error.reason, error.message, location="query") from error

    def _model(self, arguments: _Arguments, name: str, session: Session) -> Model | None:
        if arguments.model is None:
            if name not in WITHOUT_MODEL:
                raise BigQueryError("invalidQuery", f"ML.{name} needs a MODEL argument", location="query")
            return None
        return self._models.load(self._models.get(key_of(arguments.model, session.project)))

    def _transform(
        self, model: Model | None, tables: list[pa.Table], session: Session, statements: Statements
    ) -> pa.Table:
        (rows,) = _exactly("TRANSFORM", tables, 1)
        if model is None or not transform.is_transformed(model):
            raise BigQueryError(
                "invalidQuery", "ML.TRANSFORM needs a model that was created with TRANSFORM", location="query"
            )
        return transform.replay(model, rows, self._evaluator(session, statements), with_label=False)

    def _through_transform(
        self,
        name: str,
        model: Model,
        rows: pa.Table,
        options: Mapping[str, Any],
        session: Session,
        statements: Statements,
    ) -> pa.Table:
        """The call over the transformed rows; where input columns come out again, they are the ones that went in."""
        changed = transform.replay(model, rows, self._evaluator(session, statements), with_label=name in JUDGING)
        answer = call(name, model, changed, options)
        table = answer.read_all() if isinstance(answer, pa.RecordBatchReader) else answer
        if name not in STREAMS:
            return table
        through = set(changed.schema.names)
        own = [column for column in table.schema.names if column not in through]
        answer = table.select(own)
        for place, field in enumerate(rows.schema):
            answer = answer.append_column(field, rows.column(place))
        return answer

    def _evaluator(self, session: Session, statements: Statements) -> Any:
        return lambda expressions, rows: self._relations.evaluate(expressions, rows, session, statements)


class _Arguments:
    """A call's arguments by what they are: the model, the input queries, and the options."""

    def __init__(self) -> None:
        self.model: exp.Expr | None = None
        self.queries: list[exp.Expr] = []
        self.options: dict[str, Any] = {}

    @classmethod
    def of(cls, node: MlTableFunction, parameters: Mapping[str, Parameter]) -> _Arguments:
        found = cls()
        for argument in node.expressions:
            if isinstance(argument, MlModel):
                found.model = argument.this
            elif isinstance(argument, MlTable):
                found.queries.append(exp.select("*").from_(argument.this.copy()))
            elif isinstance(argument, exp.Query):
                found.queries.append(argument.unnest() if isinstance(argument, exp.Subquery) else argument)
            elif isinstance(argument, exp.Paren) and isinstance(argument.this, exp.Query):
                found.queries.append(argument.this)
            elif isinstance(argument, exp.Struct):
                found.options |= struct_of(argument, parameters)
            elif str(node.this) == "ROC_CURVE":
                found.options["thresholds"] = value_of(argument, parameters)
            else:
                raise BigQueryError(
                    "invalidQuery", f"ML.{node.this} does not take {argument.sql(dialect='bigquery')}", location="query"
                )
        return found


def refuse_unknown(tree: exp.Expr) -> None:
    """Name the ML table function that is not carried out here.

    Raises:
        BigQueryError: `notImplemented` for one that BigQuery has, `invalidQuery` for one that it has not.
    """
    for call_node in tree.find_all(MlTableFunction):
        if call_node.this in KNOWN_TO_BIGQUERY:
            raise _not_carried_out(f"ML.{call_node.this}")
    for table in tree.find_all(exp.Table):
        if table.db.upper() not in ("ML", "AI") or isinstance(table.this, (exp.Identifier, MlTableFunction)):
            continue
        name = str(table.this.name if isinstance(table.this, exp.Anonymous) else table.this.key).upper()
        if table.db.upper() == "AI":
            raise _not_carried_out(f"AI.{name}")
        raise BigQueryError("invalidQuery", f"Table-valued function not found: ML.{name}", location="query")


def _not_carried_out(function: str) -> BigQueryError:
    known = ", ".join(f"ML.{name}" for name in sorted(FUNCTIONS))
    return BigQueryError("notImplemented", f"Table function {function} is not carried out here. Carried out: {known}.")


def _exactly(name: str, tables: list[pa.Table], wanted: int) -> list[pa.Table]:
    if len(tables) != wanted:
        raise BigQueryError(
            "invalidQuery", f"ML.{name} takes {wanted} input table(s), got {len(tables)}", location="query"
        )
    return tables


def _depth(node: exp.Expr) -> int:
    """How many calls are around this one; a call in a CTE goes before the query that may read it."""
    depth = 0
    above: exp.Expr | None = node.parent
    while above is not None:
        depth += 1_000 if isinstance(above, (MlTableFunction, exp.CTE)) else 0
        above = above.parent
    return depth


def _with_ctes(query: exp.Expr, node: exp.Expr) -> exp.Expr:
    """The input query with the CTEs that are visible where the call stands."""
    query = query.copy()
    visible: dict[str, exp.CTE] = {}
    recursive = False
    inside: exp.Expr | None = node
    while inside is not None:
        above = inside.parent
        clause = above.args.get("with_") if above is not None else None
        if isinstance(above, exp.With):  # a CTE sees those before it
            earlier = above.expressions[: above.expressions.index(inside)] if not above.recursive else above.expressions
            for cte in earlier:
                visible.setdefault(cte.alias.lower(), cte)
            recursive |= bool(above.recursive)
        elif clause is not None and clause is not inside:
            for cte in clause.expressions:
                visible.setdefault(cte.alias.lower(), cte)
            recursive |= bool(clause.recursive)
        inside = above
    needed = _needed(query, visible)
    if needed:
        own = query.args.get("with_")
        ctes = [cte.copy() for name, cte in reversed(visible.items()) if name in needed]
        ordered = sorted(ctes, key=lambda cte: _place(cte, visible))
        query.set(
            "with_", exp.With(expressions=ordered + list(own.expressions if own else []), recursive=recursive or None)
        )
    return query


def _place(cte: exp.CTE, visible: Mapping[str, exp.CTE]) -> tuple[int, int]:
    original = visible[cte.alias.lower()]
    depth, above = 0, original.parent
    while above is not None:
        depth, above = depth + 1, above.parent
    return depth, original.parent.expressions.index(original) if original.parent else 0


def _needed(query: exp.Expr, visible: Mapping[str, exp.CTE]) -> set[str]:
    needed: set[str] = set()
    todo = [query]
    while todo:
        for table in todo.pop().find_all(exp.Table):
            name = table.name.lower()
            if not table.db and name in visible and name not in needed:
                needed.add(name)
                todo.append(visible[name])
    return needed
