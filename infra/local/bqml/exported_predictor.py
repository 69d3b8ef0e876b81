"""Predicts with an exported tree model outside of BigQuery: needs NumPy and XGBoost, nothing else of this project.

``Predictor.from_path(folder).predict([{feature: value}, ...])`` answers one row an instance, as an endpoint does.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import xgboost

NULL_FILLER = "_null_filler"


class Predictor:
    """An XGBoost Booster and the preprocessing that it was trained behind."""

    def __init__(self, booster: xgboost.Booster, metadata: dict[str, Any]) -> None:
        self._booster = booster
        self._metadata = metadata

    @classmethod
    def from_path(cls, folder: str | Path) -> Predictor:
        """Load what EXPORT MODEL wrote."""
        booster = xgboost.Booster()
        booster.load_model(Path(folder) / "model.ubj")
        text = (Path(folder) / "assets" / "model_metadata.json").read_text(encoding="utf-8")
        return cls(booster, json.loads(text))

    def predict(self, instances: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """``predicted_L`` and, for classifiers, ``L_probs`` beside ``L_values``. A struct's field f is ``struct_f``."""
        matrix = np.array([self._row(instance) for instance in instances], dtype=np.float32)
        margins = self._booster.predict(xgboost.DMatrix(matrix), output_margin=True, strict_shape=True)
        label, labels = self._metadata["label"], self._metadata["class_labels"]
        if not labels:
            return [{f"predicted_{label}": float(row[0])} for row in margins]
        rows = []
        for row in np.asarray(margins, dtype=np.float64).reshape(len(instances), -1):
            if len(labels) == 2:
                positive = 1.0 / (1.0 + np.exp(-row[0]))
                chances = [float(positive), float(1.0 - positive)]
                best = 0 if positive >= 0.5 else 1
            else:
                shares = np.exp(row - row.max())
                chances = [float(share) for share in shares / shares.sum()]
                best = int(np.argmax(chances))
            rows.append({f"predicted_{label}": labels[best], f"{label}_probs": chances, f"{label}_values": labels})
        return rows

    def _row(self, instance: dict[str, Any]) -> list[float]:
        columns: list[float] = []
        for feature in self._metadata["features"]:
            columns.extend(self._columns(feature, instance[feature["name"]]))
        return columns

    def _columns(self, feature: dict[str, Any], value: Any) -> list[float]:
        if feature["kind"] == "numeric":
            return [feature["mean"] if value is None else float(value)]
        text = str(value).lower() if isinstance(value, bool) else value
        categories = feature["categories"]
        encoding = self._metadata["encoding"]
        if encoding == "LABEL_ENCODING":
            return [float(categories.index(text)) if text in categories else float("nan")]
        if encoding == "TARGET_ENCODING":
            return list(feature["targets"][categories.index(text)] if text in categories else feature["default_target"])
        text = NULL_FILLER if value is None else text
        return [1.0 if category == text else 0.0 for category in categories]
