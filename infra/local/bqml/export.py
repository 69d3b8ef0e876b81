"""EXPORT MODEL: a tree model as an XGBoost Booster with what a predictor needs beside it.

BigQuery exports linear models, KMEANS and PCA as TensorFlow SavedModels. TensorFlow is not among the dependencies, and a
file that only looks like one would be worse than none: those are refused by name.
"""

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
from .trees import TreeLearner


def export(model: Model, directory: Path, *, trial_id: int | None = None) -> None:
    """Write ``model.ubj``, ``assets/model_metadata.json`` (features, categories, labels) and ``predictor.py``.

    Raises BqmlError for ARRAY, TIMESTAMP and GEOGRAPHY features, as BigQuery does, and for models whose export is a
    TensorFlow SavedModel.
    """
    for field in model.features:
        if is_list(field.type) or (pa.types.is_timestamp(field.type) and field.type.tz):
            kind = "ARRAY" if is_list(field.type) else "TIMESTAMP"
            raise BqmlError(f"The model cannot be exported: feature {field.name!r} is of type {kind}.")
    learner = model.fit_of(trial_id).learner
    if not isinstance(learner, TreeLearner):
        raise BqmlError(
            f"EXPORT MODEL of a {model.model_type} model writes a TensorFlow SavedModel, which is not carried out here. "
            "Tree models (XGBoost Booster) can be exported."
        )
    directory = Path(directory)
    directory.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
    try:
        (scratch / "assets").mkdir()
        (scratch / "model.ubj").write_bytes(learner.raw())
        metadata = json.dumps(_metadata(model, learner), indent=1)
        (scratch / "assets" / "model_metadata.json").write_text(metadata, encoding="utf-8")
        predictor = resources.files(__package__).joinpath("exported_predictor.py").read_text(encoding="utf-8")
        (scratch / "predictor.py").write_text(predictor, encoding="utf-8")
        shutil.copytree(scratch, directory, dirs_exist_ok=True)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


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
