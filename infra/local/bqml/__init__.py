"""BigQuery ML as a library: Arrow tables in, Arrow tables out; no server, no SQL.

Nothing else carries out ``CREATE MODEL`` and ``ML.*`` without Google Cloud. This package holds the semantics (defaults,
splits, preprocessing, algorithms, output columns) so that whoever parses the SQL only has to hand the pieces over:

- ``ModelSpec.of(options)``            the OPTIONS list, validated by name and value
- ``train(spec, data)``                CREATE MODEL; ``data`` is the query's result (TRANSFORM already applied)
- ``Model``                            the trained model: save, load, export, REST resource, online prediction
- ``call(function, model, data, ...)`` the table functions ML.PREDICT, ML.EVALUATE, ...
- ``preprocessing``                    the manual preprocessing functions (ML.BUCKETIZE, ...): fit and apply
- ``in_canonical_order(data)``         rows whose query gives them in any order, so that a model comes out the same
- ``BqmlError``                        every refusal, with BigQuery's error reason

It refuses what it cannot honour, naming the function or option; it never approximates silently.
"""

from __future__ import annotations

from . import preprocessing
from .errors import BqmlError
from .hyperparameters import HparamCandidates, HparamRange
from .model import Model
from .options import ModelSpec
from .splitting import in_canonical_order
from .table_functions import call
from .training import train

__all__ = [
    "BqmlError",
    "HparamCandidates",
    "HparamRange",
    "Model",
    "ModelSpec",
    "call",
    "in_canonical_order",
    "preprocessing",
    "train",
]
