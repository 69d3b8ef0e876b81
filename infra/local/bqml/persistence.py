"""A model on disk: JSON for what a person may want to read, npz for arrays, UBJ for trees, Arrow for schemas.

Nothing in it runs on load: no pickle (npz is read with pickling off). A model folder appears whole or not at all.
"""

from __future__ import annotations

import json
import math
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from .encoder import Encoder
from .errors import BqmlError
from .fitted import Evaluation, Fit, Learner, Trial
from .hyperparameters import HparamCandidates, HparamRange
from .kmeans import KMeansLearner
from .labels import Classes
from .linear import LinearLearner
from .metrics import ScoreTable
from .model import Model
from .options import ModelSpec
from .pca import PcaLearner
from .progress import Iteration
from .trees import TreeLearner

FORMAT = 1
LEARNERS: dict[str, Any] = {"linear": LinearLearner, "kmeans": KMeansLearner, "pca": PcaLearner}


def save(model: Model, directory: Path) -> None:
    """Write ``directory`` through a sibling that is renamed into place; what was there before is replaced."""
    directory = Path(directory)
    directory.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
    try:
        _write(model, scratch)
        if directory.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{directory.name}-old-", dir=directory.parent))
            directory.replace(old / "model")
            scratch.replace(directory)
            shutil.rmtree(old)
        else:
            scratch.replace(directory)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


def load(directory: Path) -> Model:
    """Raises BqmlError(notFound) if the folder holds no model."""
    directory = Path(directory)
    path = directory / "model.json"
    if not path.is_file():
        raise BqmlError(f"Not found: Model {directory.name}", reason="notFound")
    state = json.loads(path.read_text(encoding="utf-8"))
    if state["format"] != FORMAT:
        raise BqmlError(f"The model in {directory.name} was written by another version (format {state['format']}).")
    with pa.OSFile(str(directory / "schema.arrow")) as source:
        schema = pa.ipc.read_schema(source)
    classes = None
    if state["has_classes"]:
        with pa.OSFile(str(directory / "classes.arrow")) as source, pa.ipc.open_file(source) as reader:
            classes = Classes(reader.read_all().column("class").combine_chunks())
    label = schema.field(state["label"]) if state["label"] is not None else None
    if label is not None:
        schema = schema.remove(schema.get_field_index(state["label"]))
    fits = [_read_fit(directory, index, fit) for index, fit in enumerate(state["fits"])]
    trials = [
        Trial(
            trial["trial_id"],
            trial["hyperparameters"],
            fits[trial["fit"]] if trial["fit"] is not None else None,
            _read_numbers(trial["tuning_metrics"]),
            trial["error"],
        )
        for trial in state["trials"]
    ]
    return Model(
        _read_spec(state["spec"]),
        schema,
        label,
        Encoder.from_json(state["encoder"]),
        classes,
        fits[state["fit"]],
        state["statistics"],
        state["profiles"],
        state["started_ms"],
        state["ended_ms"],
        trials,
        state["optimal_trial"],
        state["extras"],
    )


def _write(model: Model, directory: Path) -> None:
    fits: list[Fit] = [model.fit]
    for trial in model.trials:
        if trial.fit is not None and not any(trial.fit is fit for fit in fits):
            fits.append(trial.fit)
    fields = list(model.features) + ([model.label] if model.label is not None else [])
    with pa.OSFile(str(directory / "schema.arrow"), "wb") as sink:
        sink.write(pa.schema(fields).serialize())
    if model.classes is not None:
        table = pa.table({"class": model.classes.values})
        with pa.OSFile(str(directory / "classes.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
    state = {
        "format": FORMAT,
        "spec": _spec_state(model.spec),
        "label": model.label.name if model.label is not None else None,
        "has_classes": model.classes is not None,
        "encoder": model.encoder.to_json(),
        "fits": [_write_fit(directory, index, fit) for index, fit in enumerate(fits)],
        "fit": 0,
        "trials": [
            {
                "trial_id": trial.trial_id,
                "hyperparameters": trial.hyperparameters,
                "fit": next((i for i, fit in enumerate(fits) if fit is trial.fit), None),
                "tuning_metrics": _numbers(trial.tuning_metrics),
                "error": trial.error,
            }
            for trial in model.trials
        ],
        "optimal_trial": model.optimal_trial,
        "statistics": model.statistics,
        "profiles": model.profiles,
        "started_ms": model.started_ms,
        "ended_ms": model.ended_ms,
        "extras": model.extras,
    }
    (directory / "model.json").write_text(json.dumps(state, indent=1, allow_nan=False), encoding="utf-8")


def _write_fit(directory: Path, index: int, fit: Fit) -> dict[str, Any]:
    arrays: dict[str, Any] = {}
    learner = fit.learner
    if isinstance(learner, TreeLearner):
        (directory / f"booster-{index}.ubj").write_bytes(learner.raw())
        kind, state = "trees", {"outputs": learner.outputs}
    else:
        kind = next(name for name, cls in LEARNERS.items() if isinstance(learner, cls))
        state, arrays = learner.state()
    evaluation = fit.evaluation
    if evaluation.confusion is not None:
        arrays["confusion"] = evaluation.confusion
    if evaluation.scores is not None:
        arrays["score"] = evaluation.scores.scores
        arrays["score_positives"] = evaluation.scores.positives
        arrays["score_negatives"] = evaluation.scores.negatives
    np.savez(directory / f"fit-{index}.npz", **arrays)
    runs = [[list(astuple(iteration)) for iteration in run] for run in fit.runs]
    return {
        "learner": kind,
        "state": state,
        "runs": runs,
        "metrics": _numbers(evaluation.metrics),
        "attributions": fit.attributions,
    }


def _read_fit(directory: Path, index: int, state: dict[str, Any]) -> Fit:
    with np.load(directory / f"fit-{index}.npz", allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    learner: Learner
    if state["learner"] == "trees":
        learner = TreeLearner.restored((directory / f"booster-{index}.ubj").read_bytes(), state["state"]["outputs"])
    else:
        learner = LEARNERS[state["learner"]].restored(state["state"], arrays)
    scores = None
    if "score" in arrays:
        scores = ScoreTable(arrays["score"], arrays["score_positives"], arrays["score_negatives"])
    evaluation = Evaluation(_read_numbers(state["metrics"]), arrays.get("confusion"), scores)
    runs = [[Iteration(*values) for values in run] for run in state["runs"]]
    return Fit(learner, runs, evaluation, state["attributions"])


def _numbers(metrics: Mapping[str, float]) -> dict[str, float | None]:
    """JSON has no NaN: a metric that is not a number is written as null."""
    return {name: value if math.isfinite(value) else None for name, value in metrics.items()}


def _read_numbers(metrics: Mapping[str, float | None]) -> dict[str, float]:
    return {name: math.nan if value is None else value for name, value in metrics.items()}


def _spec_state(spec: ModelSpec) -> dict[str, Any]:
    return {"model_type": spec.model_type, "options": {n: _option_state(v) for n, v in spec.options.items()}}


def _option_state(value: Any) -> Any:
    if isinstance(value, HparamRange):
        return {"hparam_range": [value.low, value.high]}
    if isinstance(value, HparamCandidates):
        return {"hparam_candidates": list(value.values)}
    return value


def _read_spec(state: dict[str, Any]) -> ModelSpec:
    return ModelSpec(state["model_type"], {n: _read_option(v) for n, v in state["options"].items()})


def _read_option(value: Any) -> Any:
    if isinstance(value, dict) and "hparam_range" in value:
        return HparamRange(*value["hparam_range"])
    if isinstance(value, dict) and "hparam_candidates" in value:
        return HparamCandidates(value["hparam_candidates"])
    return value
