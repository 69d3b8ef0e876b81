"""ALTER MODEL, DROP MODEL and EXPORT MODEL."""

from __future__ import annotations

import re
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bqemulator.api.dependencies import AppContext
from bqemulator.jobs.executor import _resolve_uri

from ...bqml import BqmlError
from ..errors import BigQueryError
from ..job import now_ms
from .create_model import default_model_id
from .model_store import Key, ModelEntry, ModelStore
from .names import key_of_text
from .option_values import milliseconds_of, parse_options
from .transform import is_transformed
from .transform_graph import write_transform

if TYPE_CHECKING:
    from ..statements import Result, Session

_NAME = r"(?P<name>(?:`[^`]+`|[\w-]+)(?:\s*\.\s*(?:`[^`]+`|[\w-]+))*)"
_ALTER = re.compile(
    rf"ALTER\s+MODEL\s+(?P<exists>IF\s+EXISTS\s+)?{_NAME}\s+SET\s+OPTIONS\s*\((?P<options>.*)\)\Z",
    re.IGNORECASE | re.DOTALL,
)
_DROP = re.compile(rf"DROP\s+MODEL\s+(?P<exists>IF\s+EXISTS\s+)?{_NAME}\Z", re.IGNORECASE | re.DOTALL)
_EXPORT = re.compile(rf"EXPORT\s+MODEL\s+{_NAME}\s*(?:OPTIONS\s*\((?P<options>.*)\))?\Z", re.IGNORECASE | re.DOTALL)
SAVED_MODEL = "ML_TF_SAVED_MODEL"
REGISTRY_OPTIONS = ("model_registry", "vertex_ai_model_id")


class ModelDdl:
    """Carries out what changes or copies an existing model."""

    def __init__(self, context: AppContext, models: ModelStore) -> None:
        self._context = context
        self._models = models

    def drop(self, text: str, session: Session) -> Result:
        """DROP MODEL [IF EXISTS] name.

        Raises:
            BigQueryError: `notFound`; or it is deployed to an endpoint.
        """
        from ..statements import Result

        match = _matched(_DROP, text, "DROP MODEL")
        entry = self._models.find(key_of_text(match["name"], session.project))
        if entry is None:
            if match["exists"]:
                return Result("DROP_MODEL", ddl_operation="SKIP")
            entry = self._models.get(key_of_text(match["name"], session.project))
        session.job.intent = {"model": list(entry.key)}
        self._models.drop(entry)
        return Result("DROP_MODEL", ddl_operation="DROP")

    def alter(self, text: str, session: Session) -> Result:
        """ALTER MODEL [IF EXISTS] name SET OPTIONS (...).

        Raises:
            BigQueryError: `notFound`; or an option cannot be set later.
        """
        from ..statements import Result

        match = _matched(_ALTER, text, "ALTER MODEL ... SET OPTIONS")
        key = key_of_text(match["name"], session.project)
        entry = self._models.find(key)
        if entry is None:
            if match["exists"]:
                return Result("ALTER_MODEL", ddl_operation="SKIP")
            entry = self._models.get(key)
        options = parse_options(match["options"], session.parameters)
        changed = replace(entry, modified=now_ms(), **_resource_options(options))
        if any(name in options for name in REGISTRY_OPTIONS):
            changed = self._register(changed, options, session)
        self._models.put(changed)
        return Result("ALTER_MODEL", ddl_operation="REPLACE")

    def _register(self, entry: ModelEntry, options: dict[str, Any], session: Session) -> ModelEntry:
        if str(options.get("model_registry", "vertex_ai")).upper() != "VERTEX_AI":
            raise BigQueryError("invalidQuery", "Option MODEL_REGISTRY must be 'VERTEX_AI'", location="query")
        wanted = options.get("vertex_ai_model_id")
        if entry.registry:
            if wanted and wanted != entry.registry["vertex_ai_model_id"]:
                raise BigQueryError(
                    "invalidQuery", "VERTEX_AI_MODEL_ID cannot be changed once a model is registered", location="query"
                )
            return entry
        session.job.intent = {"model": list(entry.key)}
        model_id = str(wanted or default_model_id(entry.name))
        return replace(entry, registry=self._models.register(entry, self._models.folder(entry), model_id, []))

    def export(self, text: str, session: Session) -> Result:
        """EXPORT MODEL name OPTIONS (uri = 'gs://...' [, trial_id = n]).

        Raises:
            BigQueryError: `notFound`; or the model cannot be exported.
        """
        from ..statements import Result

        match = _matched(_EXPORT, text, "EXPORT MODEL")
        options = parse_options(match["options"] or "", session.parameters)
        uri = options.pop("uri", None)
        trial = options.pop("trial_id", None)
        options.pop("overwrite", None)
        if options:
            raise BigQueryError(
                "invalidQuery", f"Unknown EXPORT MODEL option: {', '.join(sorted(options))}", location="query"
            )
        self.export_to(key_of_text(match["name"], session.project), uri, trial, None)
        return Result("EXPORT_MODEL")

    def export_to(self, key: Key, uri: Any, trial_id: int | None, wanted: str | None) -> int:
        """Write a model's files under a gs:// URI; `wanted` is a destinationFormat. Returns how many files.

        Raises:
            BigQueryError: `notFound`; the URI is none; the model cannot be exported, or not in this format.
        """
        entry = self._models.get(key)
        if not isinstance(uri, str) or not uri.startswith("gs://"):
            raise BigQueryError(
                "invalidQuery",
                "EXPORT MODEL needs the option URI, a folder in Cloud Storage (gs://...)",
                location="query",
            )
        has = "ML_XGBOOST_BOOSTER" if "TREE" in entry.model_type or "FOREST" in entry.model_type else SAVED_MODEL
        if wanted is not None and wanted != has:
            raise BigQueryError("invalid", f"A {entry.model_type} model is extracted as {has}, not as {wanted}")
        target = Path(_resolve_uri(uri, self._context))
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".export-") as work:
            folder = Path(work) / "model"
            model = self._models.load(entry)
            try:
                model.export(folder, trial_id=trial_id)
                if is_transformed(model):
                    write_transform(model, folder / "transform")
            except BqmlError as error:
                raise BigQueryError(error.reason, error.message, location="query") from error
            shutil.copytree(folder, target, dirs_exist_ok=True)
            return sum(1 for path in folder.rglob("*") if path.is_file())


def _resource_options(options: dict[str, Any]) -> dict[str, Any]:
    """The changes of the resource that are options' alone.

    Raises:
        BigQueryError: an option cannot be set by ALTER MODEL.
    """
    changes: dict[str, Any] = {}
    for name, value in options.items():
        if name == "labels":
            changes["labels"] = dict(value)
        elif name in ("description", "friendly_name"):
            changes[name] = value or ""
        elif name == "expiration_timestamp":
            changes["expiration"] = None if value is None else milliseconds_of(name, value)
        elif name not in REGISTRY_OPTIONS:
            raise BigQueryError("invalidQuery", f"Option {name.upper()} cannot be set by ALTER MODEL", location="query")
    return changes


def _matched(pattern: re.Pattern[str], text: str, what: str) -> re.Match[str]:
    match = pattern.match(text)
    if match is None:
        raise BigQueryError("invalidQuery", f"Syntax error: malformed {what} statement", location="query")
    return match
