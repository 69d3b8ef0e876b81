"""The trained model: what the table functions read, what is saved, and what the REST resource shows."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from .bigquery_types import type_name
from .encoder import Encoder
from .errors import BqmlError
from .fitted import Fit, Trial
from .labels import Classes
from .options import ModelSpec


@dataclass
class Model:
    """A trained model. Nothing in it changes but ``extras``, which the caller may fill (JSON-able, saved with it).

    ``features`` is the Arrow schema of the feature columns, ``label`` the label's field (None: unsupervised). ``fit``
    is the model that predicts; of a tuned model it is the optimal trial's. ``statistics`` are the rows of
    ML.FEATURE_INFO, ``profiles`` what ML.VALIDATE_DATA_SKEW compares with.
    """

    spec: ModelSpec
    features: pa.Schema
    label: pa.Field | None
    encoder: Encoder
    classes: Classes | None
    fit: Fit
    statistics: list[dict[str, Any]]
    profiles: dict[str, dict[str, Any]]
    started_ms: int
    ended_ms: int
    trials: list[Trial] = field(default_factory=list)
    optimal_trial: int | None = None
    extras: dict[str, Any] = field(default_factory=dict)
    _online: Any = field(default=None, repr=False, compare=False)
    _online_lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @property
    def model_type(self) -> str:
        """As option MODEL_TYPE spells it."""
        return self.spec.model_type

    @property
    def feature_columns(self) -> list[tuple[str, str]]:
        """``(name, BigQuery type)`` of each feature, in the training query's order."""
        return [(f.name, type_name(f.type)) for f in self.features]

    @property
    def label_columns(self) -> list[tuple[str, str]]:
        """``(name, BigQuery type)`` of the label; empty for an unsupervised model."""
        return [] if self.label is None else [(self.label.name, type_name(self.label.type))]

    @property
    def label_name(self) -> str:
        """Raises BqmlError for an unsupervised model."""
        if self.label is None:
            raise BqmlError(f"A {self.model_type} model has no label.")
        return str(self.label.name)

    def fit_of(self, trial_id: int | None) -> Fit:
        """The fit of a trial; None = the one that predicts. Raises BqmlError on an unknown or failed trial."""
        if trial_id is None:
            return self.fit
        if not self.trials:
            raise BqmlError("Argument TRIAL_ID can only be used with a model that was trained with NUM_TRIALS.")
        for trial in self.trials:
            if trial.trial_id == trial_id and trial.fit is not None:
                return trial.fit
        raise BqmlError(f"The model has no successful trial with TRIAL_ID {trial_id}.")

    def aligned(self, data: pa.Table | pa.RecordBatch) -> pa.Table | pa.RecordBatch:
        """The data with the model's columns spelt as the model spells them: names do not mind their case."""
        own = {f.name.lower(): f.name for f in self.features}
        if self.label is not None:
            own[self.label.name.lower()] = self.label.name
        names = [own.get(name.lower(), name) for name in data.schema.names]
        return data if names == data.schema.names else data.rename_columns(names)

    def save(self, directory: Path) -> None:
        """Write the model into ``directory``, atomically: JSON, npz and XGBoost's UBJ, nothing that runs on load."""
        from .persistence import save

        save(self, directory)

    @classmethod
    def load(cls, directory: Path) -> Model:
        """Read what ``save`` wrote. Raises BqmlError(notFound) if there is no model."""
        from .persistence import load

        return load(directory)

    def resource(self) -> dict[str, Any]:
        """The fields of the REST v2 ``Model`` resource that the library knows (no modelReference, no etag)."""
        from .resource import resource

        return resource(self)

    def export(self, directory: Path, *, trial_id: int | None = None) -> None:
        """EXPORT MODEL into ``directory``. Raises BqmlError where BigQuery cannot export either."""
        from .export import export

        export(self, directory, trial_id=trial_id)

    def predict_instances(self, instances: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Vertex AI's online prediction, one response row an instance. Raises BqmlError(invalid) on a bad instance."""
        from .online import OnlinePredictor

        if self._online is None:
            with self._online_lock:
                if self._online is None:
                    self._online = OnlinePredictor(self)
        return list(self._online.predict(instances))
