"""EXPORT MODEL: a tree model as an XGBoost Booster with what a predictor needs beside it, others as a SavedModel."""

from __future__ import annotations

import json
import shutil
import tempfile
from importlib import resources
from pathlib import Path
from typing import Any

import pyarrow as pa

from .bigquery_types import is_list
from .errors import BqmlError
from .model import Model
from .saved_model import write_saved_model
from .trees import TreeLearner


def export(model: Model, directory: Path, *, trial_id: int | None = None) -> None:
    """Write a TensorFlow SavedModel, or of a tree model ``model.ubj``, ``assets/model_metadata.json``, ``predictor.py``.

    Raises BqmlError for ARRAY, TIMESTAMP and GEOGRAPHY features, as BigQuery does.
    """
    for field in model.features:
        if is_list(field.type) or (pa.types.is_timestamp(field.type) and field.type.tz):
            kind = "ARRAY" if is_list(field.type) else "TIMESTAMP"
            raise BqmlError(f"The model cannot be exported: feature {field.name!r} is of type {kind}.")
    fit = model.fit_of(trial_id)
    learner = fit.learner
    directory = Path(directory)
    directory.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
    try:
        if isinstance(learner, TreeLearner):
            _write_trees(model, learner, scratch)
        else:
            write_saved_model(model, fit, scratch)
        shutil.copytree(scratch, directory, dirs_exist_ok=True)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _write_trees(model: Model, learner: TreeLearner, folder: Path) -> None:
    (folder / "assets").mkdir()
    (folder / "model.ubj").write_bytes(learner.raw())
    metadata = json.dumps(_metadata(model, learner), indent=1)
    (folder / "assets" / "model_metadata.json").write_text(metadata, encoding="utf-8")
    predictor = resources.files(__package__).joinpath("exported_predictor.py").read_text(encoding="utf-8")
    (folder / "predictor.py").write_text(predictor, encoding="utf-8")


def _metadata(model: Model, learner: TreeLearner) -> dict[str, Any]:
    return {
        "model_type": model.model_type,
        "label": model.label_name,
        "class_labels": model.classes.texts() if model.classes is not None else [],
        "outputs": learner.outputs,
        "encoding": model.encoder.method,
        "features": [
            {
                "name": encoding.name,
                "kind": encoding.kind,
                "mean": encoding.mean,
                "categories": [c for c in encoding.categories if c != encoding.dropped],
                "targets": encoding.targets,
                "default_target": encoding.default_target,
            }
            for encoding in model.encoder.encodings
        ],
    }
