"""CREATE MODEL: read the training rows, train, and let the model appear with the transaction of its job."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from bqemulator.api.dependencies import AppContext
from sqlglot import exp

from ...bqml import BqmlError, Model, ModelSpec, in_canonical_order, train
from ..dialect import parse
from ..engine import ThreadedEngine
from ..errors import BigQueryError
from . import transform
from .model_store import Key, ModelEntry, ModelStore, new_entry
from .names import key_of
from .option_values import milliseconds_of, options_of
from .relations import Relations

if TYPE_CHECKING:
    from ..statements import Result, Session, Statements

_TWO_QUERIES = re.compile(r"\bAS\s*\(\s*(`?\w+`?)\s+AS\s*\(", re.IGNORECASE)
TRAINING, EVALUATION = ("training_data",), ("evaluation_data", "eval_data", "validation_data")
KEPT_BY_THE_MODEL = ("labels", "description", "friendly_name", "expiration_timestamp", "kms_key_name")
"""Options that say something about the resource, not about the training."""
STATISTICS = "CREATE_MODEL"
DUCKDB_TYPE = b"bqemu.duckdb_type"
"""Where bqemulator notes the type of a column that Arrow's does not tell."""
SORTED_ROWS = 250_000
"""Up to this many rows of a plain scan are sorted, too: a table that is built anew has the same rows in another order.
Beyond it, sorting would take a share of the training's time that shows, and the order of the table is kept."""
REORDERING = ("joins", "group", "distinct", "limit", "with_", "laterals", "qualify", "order")
"""Parts of a SELECT after which DuckDB's threads decide the order of the rows, and with it the last bits of a model."""


@dataclass(frozen=True)
class Request:
    """A parsed CREATE MODEL."""

    key: Key
    replace: bool
    if_not_exists: bool
    options: dict[str, Any]
    clause: str | None
    training: exp.Expr
    evaluation: exp.Expr | None


def parse_create_model(text: str, session: Session) -> Request:
    """Take the statement apart.

    Raises:
        BigQueryError: it is not one that is carried out here.
    """
    text, evaluation = _first_query_alone(text)
    tree = parse(text)
    if not isinstance(tree, exp.Create) or (tree.args.get("kind") or "").upper() != "MODEL":
        raise BigQueryError("invalidQuery", "Syntax error: malformed CREATE MODEL statement", location="query")
    if re.match(r"CREATE\s+(OR\s+REPLACE\s+)?MODEL\s+.*?\bREMOTE\s+WITH\s+CONNECTION", text, re.IGNORECASE | re.DOTALL):
        raise BigQueryError("notImplemented", "CREATE MODEL ... REMOTE WITH CONNECTION is not carried out here")
    key = key_of(tree.this, session.project)
    options = options_of(tree.args.get("properties"), session.parameters)
    query = tree.args.get("expression")
    if not isinstance(query, exp.Query):
        raise BigQueryError(
            "invalidQuery",
            "CREATE MODEL needs AS and a query here: imported and remote models are not carried out",
            location="query",
        )
    replace_it, if_not = bool(tree.args.get("replace")), bool(tree.args.get("exists"))
    if replace_it and if_not:
        raise BigQueryError(
            "invalidQuery", "CREATE OR REPLACE MODEL and IF NOT EXISTS do not go together", location="query"
        )
    return Request(key, replace_it, if_not, options, transform.clause_of(tree), query, evaluation)


def training_query(sql: str) -> exp.Expr | None:
    """The query of a CREATE MODEL statement; None for other statements about models. For estimates of its cost."""
    if not re.search(r"\bCREATE\b", sql[: sql.upper().find("MODEL")], re.IGNORECASE):
        return None
    tree = parse(_first_query_alone(sql)[0])
    query = tree.args.get("expression")
    return query if isinstance(query, exp.Query) else None


class CreateModel:
    """Carries out CREATE MODEL."""

    def __init__(self, context: AppContext, models: ModelStore, relations: Relations, engine: ThreadedEngine) -> None:
        self._context = context
        self._models = models
        self._relations = relations
        self._engine = engine

    def run(self, text: str, session: Session, statements: Statements) -> Result:
        """Train and store the model, within the transaction that is open.

        Raises:
            BigQueryError: as BigQuery would refuse or fail; nothing is left behind.
        """
        from ..statements import Result

        request = parse_create_model(text, session)
        project, dataset, name = request.key
        if self._context.catalog.get_dataset(project, dataset) is None:
            raise BigQueryError("notFound", f"Not found: Dataset {project}:{dataset} was not found in location US")
        existing = self._models.find(request.key)
        if existing is not None and request.if_not_exists:
            return Result(STATISTICS, ddl_operation="SKIP")
        if existing is not None and not request.replace:
            raise BigQueryError("duplicate", f"Already Exists: Model {project}:{dataset}.{name}")
        try:
            model, entry = self._train(request, existing, session, statements)
        except BqmlError as error:
            raise BigQueryError(error.reason, error.message, location="query") from error
        self._models.put(entry)
        return Result(
            STATISTICS,
            ddl_operation="REPLACE" if existing is not None else "CREATE",
            statistics={
                "ddlTargetTable": {"projectId": project, "datasetId": dataset, "tableId": name},
                "mlStatistics": {
                    "modelType": model.resource().get("modelType", ""),
                    "maxIterations": str(len(model.resource().get("trainingRuns", [{}])[-1].get("results", [])) or 1),
                },
            },
        )

    def _train(
        self, request: Request, existing: ModelEntry | None, session: Session, statements: Statements
    ) -> tuple[Model, ModelEntry]:
        about = {name: value for name, value in request.options.items() if name in KEPT_BY_THE_MODEL}
        spec = ModelSpec.of({name: value for name, value in request.options.items() if name not in about})
        if spec.options.get("model_registry") and existing is None:
            session.job.intent = {"model": list(request.key)}
        rows = self._rows(request.training, session, statements)
        evaluation = self._rows(request.evaluation, session, statements) if request.evaluation is not None else None
        extras: dict[str, Any] = {}
        if request.clause is not None:
            evaluate = self._evaluator(session, statements)
            rows, extras = transform.freeze(request.clause, rows, evaluate, session.parameters)
            if evaluation is not None:
                evaluation = transform.replay_kept(extras, evaluation, evaluate)
        _refuse_json(rows)
        warm = self._models.load(existing) if existing is not None and spec.options.get("warm_start") else None
        model = train(spec, rows, evaluation=evaluation, warm_start=warm, cancel=session.job.cancelled)
        session.job.raise_if_cancelled()
        model.extras.update(extras)
        folder = self._models.new_folder(request.key)
        model.save(folder)
        entry = new_entry(request.key, folder, spec.model_type, session.job.location, **_about(about))
        return model, self._registered(entry, existing, spec, session)

    def _registered(
        self, entry: ModelEntry, existing: ModelEntry | None, spec: ModelSpec, session: Session
    ) -> ModelEntry:
        """The entry with its version; a model that is replaced loses the version it had, as on Google Cloud."""
        if not spec.options.get("model_registry") and not (existing and existing.registry):
            return entry
        session.job.intent = {"model": list(entry.key)}
        self._note_intent(session)
        if existing is not None:
            self._models.unregister(existing)
        if not spec.options.get("model_registry"):
            return entry
        model_id = str(spec.options.get("vertex_ai_model_id") or default_model_id(entry.name))
        aliases = list(spec.options.get("vertex_ai_model_version_aliases") or [])
        return replace(entry, registry=self._models.register(entry, self._models.folder(entry), model_id, aliases))

    def _note_intent(self, session: Session) -> None:
        """Write down, outside the job's transaction, what is about to change in the registry."""
        beside = self._engine.connection.cursor()
        try:
            job = session.job
            beside.execute('INSERT INTO "_bqloop"."job_log" VALUES (?, ?, ?)', [job.project, job.job_id, job.to_json()])
        finally:
            beside.close()

    def _rows(self, query: exp.Expr, session: Session, statements: Statements) -> pa.Table:
        rows = self._relations.table(statements.ready(query.copy(), session), session, statements)
        kept = rows.num_rows > SORTED_ROWS and self._is_plain_scan(query, session)
        return rows if kept else in_canonical_order(rows)

    def _is_plain_scan(self, query: exp.Expr, session: Session) -> bool:
        """Whether the rows are sure to come in the order in which a table has them, whatever threads do."""
        if not isinstance(query, exp.Select) or any(query.args.get(part) for part in REORDERING):
            return False
        source = query.args.get("from_")
        table = source.this if source is not None else None
        if not isinstance(table, exp.Table) or not isinstance(table.this, exp.Identifier) or query.find(exp.Window):
            return False
        if any(inner is not query for inner in query.find_all(exp.Query) if not isinstance(inner, exp.Table)):
            return False
        meta = self._context.catalog.get_table(table.catalog or session.project, table.db, table.name)
        return meta is not None and meta.view_query is None

    def _evaluator(self, session: Session, statements: Statements) -> Any:
        return lambda expressions, rows: self._relations.evaluate(expressions, rows, session, statements)


def _refuse_json(rows: pa.Table) -> None:
    """JSON reaches the library as text; BigQuery does not take it for a feature."""
    for field in rows.schema:
        if (field.metadata or {}).get(DUCKDB_TYPE) == b"JSON":
            raise BigQueryError(
                "invalidQuery",
                f"Column {field.name!r} has type JSON, which is not supported as a feature.",
                location="query",
            )


def default_model_id(name: str) -> str:
    """The Vertex model ID of a model that names none: its own name, in the letters that an ID may have."""
    return re.sub(r"[^a-z0-9_-]", "-", name.lower())[:63]


def _about(options: dict[str, Any]) -> dict[str, Any]:
    about: dict[str, Any] = {}
    if "labels" in options:
        about["labels"] = dict(options["labels"])
    if "description" in options:
        about["description"] = options["description"]
    if "friendly_name" in options:
        about["friendly_name"] = options["friendly_name"]
    if options.get("expiration_timestamp") is not None:
        about["expiration"] = milliseconds_of("expiration_timestamp", options["expiration_timestamp"])
    if "kms_key_name" in options:
        raise BigQueryError("notImplemented", "Option KMS_KEY_NAME is not carried out here")
    return about


def _first_query_alone(text: str) -> tuple[str, exp.Expr | None]:
    """`AS (training_data AS (...), evaluation_data AS (...))` as `AS (...)`, and the second query."""
    match = _TWO_QUERIES.search(text)
    if match is None or match.group(1).strip("`").lower() not in TRAINING + EVALUATION:
        return text, None
    named = parse(f"WITH {text[text.index('(', match.start()) + 1 : text.rindex(')')]} SELECT 1")
    queries = {cte.alias.lower(): cte.this for cte in named.args["with_"].expressions}
    training = [queries.pop(name) for name in TRAINING if name in queries]
    evaluation = [queries.pop(name) for name in EVALUATION if name in queries]
    if not training or queries or len(evaluation) > 1:
        raise BigQueryError(
            "invalidQuery",
            f"CREATE MODEL takes the queries {TRAINING[0]} and {EVALUATION[0]}; got {', '.join(queries) or 'others'}",
            location="query",
        )
    from ..dialect import MlBigQuery

    head = text[: match.start()] + "AS " + training[0].sql(dialect=MlBigQuery)
    return head, evaluation[0] if evaluation else None
