"""CREATE MODEL for KMEANS and PCA: every column is a feature, nothing is held out."""

from __future__ import annotations

import threading
import time

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .encoder import Encoder
from .encodings import ONE_HOT
from .errors import BqmlError
from .fitted import Evaluation, Fit, Learner, Trial
from .kmeans import KMeansLearner, train_kmeans
from .model import Model
from .options import ModelSpec
from .pca import train_pca
from .progress import Progress
from .splitting import Mask
from .statistics import profile_columns, profile_inputs
from .tuning import tune_kmeans
from .unsupervised_metrics import unsupervised_metrics


def train_unsupervised(
    spec: ModelSpec,
    data: pa.Table,
    warm_start: Model | None,
    cancel: threading.Event | None,
    started_ms: int,
    raw: pa.Table | None,
) -> Model:
    """Train. Raises BqmlError on columns that cannot be features."""
    kmeans = spec.model_type == "KMEANS"
    init = spec.options.get("kmeans_init_col") if kmeans else None
    custom: Mask | None = None
    if init is not None:
        if init not in data.schema.names:
            raise BqmlError(f"Column {init!r} of option KMEANS_INIT_COL is not found in the training data.")
        if not pa.types.is_boolean(data.schema.field(init).type):
            raise BqmlError(f"Column {init!r} of option KMEANS_INIT_COL must be BOOL.")
        custom = np.asarray(pc.fill_null(data.column(init), False)).astype(bool)
    features = [name for name in data.schema.names if name != init]
    if not features:
        raise BqmlError("The training query has no feature columns.")
    standardize = bool(spec.value("standardize_features" if kmeans else "scale_features"))
    if warm_start is not None:
        encoder = warm_start.encoder
    else:
        encoder = Encoder.fit(
            data, features, method=ONE_HOT, standardize=standardize or not kmeans, sample_deviation=True
        )
        if not kmeans and not standardize:
            for encoding in encoder.encodings:  # numbers are centred all the same
                encoding.std, encoding.stds = 1.0, [1.0] * len(encoding.stds)
    design = encoder.design(data, intercept=False)
    trials: list[Trial] = []
    optimal: int | None = None
    if spec.has("num_trials") and spec.tuned:
        trials, optimal, fit = tune_kmeans(spec, design, custom, cancel)
    else:
        progress = Progress(cancel)
        learner: Learner
        if kmeans:
            previous = warm_start.fit.learner if warm_start is not None else None
            start = previous.centroids if isinstance(previous, KMeansLearner) else None
            learner = train_kmeans(spec, design, custom, start, progress)
        else:
            learner = train_pca(spec, design, progress)
        runs = [*(warm_start.fit.runs if warm_start else []), progress.iterations]
        fit = Fit(learner, runs, Evaluation(unsupervised_metrics(learner, design)))
    statistics, profiles = profile_inputs(data, features, None)
    if raw is not None:
        profiles = profile_columns(raw, [])
    schema = pa.schema([data.schema.field(name) for name in features])
    ended_ms = time.time_ns() // 1_000_000
    return Model(spec, schema, None, encoder, None, fit, statistics, profiles, started_ms, ended_ms, trials, optimal)
