"""Where trained models are kept: a row in the warehouse's database and a folder of files; and in the Vertex registry.

The row names the folder of the present generation, so that a model appears, is replaced or goes with the transaction
of its job. Folders without a row are what a crash or a failure left; they are removed at the next start, and the
registry is brought back to what the rows say.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from ...bqml import Model
from ...model_registry import ModelRegistry, RegistryError
from ..engine import ThreadedEngine
from ..errors import BigQueryError
from ..job import Job, now_ms

TABLE = '"_bqloop"."models"'
LOADED = 16
"""How many models are kept in memory."""

Key = tuple[str, str, str]


@dataclass(frozen=True)
class ModelEntry:
    """What is known of a model besides its files. Times in ms."""

    project: str
    dataset: str
    name: str
    generation: str
    created: int
    modified: int
    location: str
    model_type: str
    labels: dict[str, str] = field(default_factory=dict)
    description: str = ""
    friendly_name: str = ""
    expiration: int | None = None
    registry: dict[str, Any] | None = None
    """`vertex_ai_model_id`, `aliases`, `version` of a registered model."""

    @property
    def key(self) -> Key:
        """Project, dataset, name."""
        return self.project, self.dataset, self.name

    @property
    def path(self) -> str:
        """As BigQuery writes it in SQL and the registry."""
        return ".".join(self.key)


class ModelStore:
    """The models of one warehouse."""

    def __init__(self, engine: ThreadedEngine, root: Path, registry: ModelRegistry | None) -> None:
        self._engine = engine
        self._root = root
        self._registry = registry
        self._loaded: OrderedDict[Path, Model] = OrderedDict()
        self._lock = threading.Lock()

    def open(self, cut_off: Sequence[Job]) -> None:
        """Bring files and registry back to what the rows say, after the jobs that were cut off."""
        self._engine.execute('CREATE SCHEMA IF NOT EXISTS "_bqloop"')
        self._engine.execute(
            f"CREATE TABLE IF NOT EXISTS {TABLE} (project VARCHAR, dataset VARCHAR, name VARCHAR, entry VARCHAR)"
        )
        entries = {entry.key: entry for entry in self.entries()}
        self._root.mkdir(parents=True, exist_ok=True)
        for folder in self._root.glob("*/*/*/*"):
            entry = entries.get((folder.parts[-4], folder.parts[-3], folder.parts[-2]))
            if entry is None or entry.generation != folder.name:
                shutil.rmtree(folder)
        for job in cut_off:
            key = tuple((job.intent or {}).get("model") or ())
            if len(key) == 3:  # project, dataset, model
                self._mend_registry(key, entries.get(key))

    def _mend_registry(self, key: Key, entry: ModelEntry | None) -> None:
        if self._registry is None:
            return
        self._registry.unregister(".".join(key))
        if entry is not None and entry.registry:
            self.register(entry, self.folder(entry), entry.registry["vertex_ai_model_id"], entry.registry["aliases"])

    # -- reading ---------------------------------------------------------------

    def entries(self, project: str | None = None, dataset: str | None = None) -> list[ModelEntry]:
        """Every model, or those of a dataset, by name."""
        sql, values = f"SELECT entry FROM {TABLE}", []
        if project is not None:
            sql, values = f"{sql} WHERE project = ? AND dataset = ?", [project, dataset]
        found = [ModelEntry(**json.loads(text)) for (text,) in self._engine.rows(sql, values or None)]
        return sorted((entry for entry in found if not _is_expired(entry)), key=lambda entry: entry.name)

    def find(self, key: Key) -> ModelEntry | None:
        """The model, if there is one."""
        rows = self._engine.rows(f"SELECT entry FROM {TABLE} WHERE project = ? AND dataset = ? AND name = ?", list(key))
        entry = ModelEntry(**json.loads(rows[0][0])) if rows else None
        return None if entry is not None and _is_expired(entry) else entry

    def get(self, key: Key) -> ModelEntry:
        """The model.

        Raises:
            BigQueryError: `notFound`.
        """
        entry = self.find(key)
        if entry is None:
            raise BigQueryError("notFound", f"Not found: Model {key[0]}:{key[1]}.{key[2]}")
        return entry

    def folder(self, entry: ModelEntry) -> Path:
        """Where the model's files are."""
        return self._root / entry.project / entry.dataset / entry.name / entry.generation

    def load(self, entry: ModelEntry) -> Model:
        """The trained model, from memory where it was asked for before."""
        folder = self.folder(entry)
        with self._lock:
            model = self._loaded.get(folder)
            if model is not None:
                self._loaded.move_to_end(folder)
                return model
        model = Model.load(folder)
        with self._lock:
            self._loaded[folder] = model
            while len(self._loaded) > LOADED:
                self._loaded.popitem(last=False)
        return model

    # -- changing, within the transaction of the caller -----------------------------

    def new_folder(self, key: Key) -> Path:
        """A folder for another generation of a model; not there yet."""
        folder = self._root.joinpath(*key, uuid4().hex[:12])
        folder.parent.mkdir(parents=True, exist_ok=True)
        return folder

    def put(self, entry: ModelEntry) -> None:
        """Write a model's row. The files of the generation before it stay until the next start."""
        self._delete_row(entry.key)
        self._engine.execute(f"INSERT INTO {TABLE} VALUES (?, ?, ?, ?)", [*entry.key, json.dumps(asdict(entry))])

    def drop(self, entry: ModelEntry) -> None:
        """Remove a model and its version in the registry.

        Raises:
            BigQueryError: the version is deployed to an endpoint.
        """
        self.unregister(entry)
        self._delete_row(entry.key)

    def remove_files(self, entry: ModelEntry) -> None:
        """Remove the files of a model that is gone for good."""
        shutil.rmtree(self.folder(entry), ignore_errors=True)

    def _delete_row(self, key: Key) -> None:
        self._engine.execute(f"DELETE FROM {TABLE} WHERE project = ? AND dataset = ? AND name = ?", list(key))

    def register(self, entry: ModelEntry, folder: Path, model_id: str, aliases: Sequence[str]) -> dict[str, Any]:
        """Put a model into the Vertex registry; the entry's `registry` with the version it got.

        Raises:
            BigQueryError: as the registry refuses; `invalid` if there is none.
        """
        if self._registry is None:
            raise BigQueryError("invalid", "model_registry = 'vertex_ai': this local BigQuery runs without a Vertex AI")
        try:
            version = self._registry.register(
                project=entry.project,
                location=entry.location,
                vertex_ai_model_id=model_id,
                aliases=aliases,
                bigquery_model=entry.path,
                model_dir=folder,
                model_type=entry.model_type,
                labels=entry.labels,
            )
        except RegistryError as error:
            raise BigQueryError(error.reason, error.message) from error
        return {"vertex_ai_model_id": model_id, "aliases": list(aliases), "version": version}

    def unregister(self, entry: ModelEntry) -> None:
        """Take a model out of the registry, if it is in.

        Raises:
            BigQueryError: the version is deployed to an endpoint.
        """
        if self._registry is None or not entry.registry:
            return
        try:
            self._registry.unregister(entry.path)
        except RegistryError as error:
            raise BigQueryError(error.reason, error.message) from error


def _is_expired(entry: ModelEntry) -> bool:
    """Whether a model's time is over: it is gone for everybody; its files go with the next start."""
    return entry.expiration is not None and entry.expiration <= now_ms()


def new_entry(key: Key, folder: Path, model_type: str, location: str, **more: Any) -> ModelEntry:
    """The entry of a model that has just been trained."""
    now = now_ms()
    return ModelEntry(*key, folder.name, now, now, location, model_type, **more)
