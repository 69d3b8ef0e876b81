"""BigQuery ML in statements: CREATE, ALTER, DROP and EXPORT MODEL, ML.* table functions, preprocessing in select lists.

What they compute is `infra.local.bqml`'s; here is what has to do with SQL, rows, names and the life of a model.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bqemulator.api.dependencies import AppContext
from sqlglot import exp

from ..dialect import MlTableFunction
from ..engine import ThreadedEngine
from ..errors import BigQueryError
from . import preprocessing_calls, select_lists
from .create_model import CreateModel
from .model_ddl import ModelDdl
from .model_store import ModelStore
from .relations import Relations
from .table_functions import TableFunctions

if TYPE_CHECKING:
    from ..statements import Result, Session, Statements

_COMMENTS = re.compile(r"\A(?:\s+|--[^\n]*\n|#[^\n]*\n|/\*.*?\*/)*", re.DOTALL)
_MODEL_STATEMENT = re.compile(r"(CREATE|ALTER|DROP|EXPORT)\s+(?:OR\s+REPLACE\s+)?(?:TEMP\w*\s+)?MODEL\b", re.IGNORECASE)


class MlStatements:
    """Carries out what is BigQuery ML's in a statement."""

    def __init__(self, context: AppContext, engine: ThreadedEngine, models: ModelStore) -> None:
        relations = Relations(engine)
        self._relations = relations
        self._functions = TableFunctions(models, relations)
        self._create = CreateModel(context, models, relations, engine)
        self.ddl = ModelDdl(context, models)

    def run_statement(self, sql: str, session: Session, statements: Statements) -> Result | None:
        """Carry out a statement about models; None if it is about something else."""
        kind = model_statement(sql)
        if kind is None:
            return None
        text = _COMMENTS.sub("", sql, count=1).strip().rstrip(";").rstrip()
        if kind == "CREATE":
            return self._create.run(text, session, statements)
        return getattr(self.ddl, kind.lower())(text, session)  # type: ignore[no-any-return]

    def replace_functions(self, tree: exp.Expr, session: Session, statements: Statements) -> exp.Expr:
        """A query with the results of its ML functions in their places."""
        if isinstance(tree, exp.Create) and str(tree.args.get("kind")).upper() != "TABLE" and _calls_ml(tree):
            raise BigQueryError(
                "notImplemented",
                f"CREATE {tree.args.get('kind')} over an ML function is not carried out here; make a table of its rows",
            )
        tree = self._functions.replace_all(tree, session, statements)
        if preprocessing_calls.has_calls(tree):
            tree = select_lists.compute_all(tree, session, statements, self._relations)
        return tree

    def check(self, tree: exp.Expr, session: Session) -> None:
        """Refuse what names a model that does not exist, without carrying anything out."""
        self._functions.check(tree, session)


def _calls_ml(tree: exp.Expr) -> bool:
    return tree.find(MlTableFunction) is not None or preprocessing_calls.has_calls(tree)


def model_statement(sql: str) -> str | None:
    """CREATE, ALTER, DROP or EXPORT, if the statement is about a model."""
    match = _MODEL_STATEMENT.match(_COMMENTS.sub("", sql, count=1))
    if match is None:
        return None
    kind = match.group(1).upper()
    if re.search(r"\bTEMP\w*\s+MODEL", match.group(0), re.IGNORECASE):
        raise BigQueryError(
            "invalidQuery", "CREATE TEMP MODEL is not supported: models are persistent", location="query"
        )
    return kind
