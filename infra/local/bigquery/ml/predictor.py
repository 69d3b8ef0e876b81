"""A registered model as the Vertex AI stand-in asks it, with its TRANSFORM clause before it where it has one."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import sqlglot
from sqlglot import exp

from ...bqml import BqmlError, Model
from .. import functions, mends
from . import transform


def load_predictor(folder: Path) -> Model | TransformingPredictor:
    """What answers online predictions of the model in `folder`.

    Raises:
        BqmlError: there is no model.
    """
    model = Model.load(folder)
    return TransformingPredictor(model) if transform.is_transformed(model) else model


class TransformingPredictor:
    """A model made with TRANSFORM: instances carry the columns of the training query, as on Google Cloud."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._lock = threading.Lock()
        self._connection = duckdb.connect(config={"threads": 1})
        functions.register(self._connection)

    def predict_instances(self, instances: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """One response row an instance.

        Raises:
            BqmlError: an instance does not fit (`invalid`).
        """
        names = list(dict.fromkeys(name for instance in instances for name in instance))
        rows = pa.Table.from_pylist([{name: instance.get(name) for name in names} for instance in instances])
        try:
            with self._lock:
                changed = transform.replay(self._model, rows, self._evaluate, with_label=False)
        except duckdb.Error as error:
            raise BqmlError(f"The instances do not fit the model's TRANSFORM: {error}", reason="invalid") from error
        wanted = [name for name, _ in self._model.feature_columns]
        return self._model.predict_instances(changed.select(wanted).to_pylist())

    def _evaluate(self, expressions: Any, rows: pa.Table) -> pa.Table:
        query = exp.select(*(expression.copy() for expression in expressions)).from_("asked")
        sql = mends.before_translation(query).sql(dialect="bigquery")
        self._connection.register("asked", rows)
        try:
            return self._connection.execute(sqlglot.transpile(sql, read="bigquery", write="duckdb")[0]).to_arrow_table()
        finally:
            self._connection.unregister("asked")
