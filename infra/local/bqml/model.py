"""The trained model: what the table functions read, what is saved, and what the REST resource shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .options import ModelSpec


class Model:
    """A trained model. Immutable but for ``extras``, which the caller may fill (JSON-able) and which is saved with it.

    ``feature_columns`` and ``label_columns`` are ``(name, BigQuery type)`` pairs such as ``("price", "FLOAT64")``.
    """

    spec: ModelSpec
    feature_columns: list[tuple[str, str]]
    label_columns: list[tuple[str, str]]
    extras: dict[str, Any]

    def save(self, directory: Path) -> None:
        """Write the model into ``directory`` atomically (a sibling folder renamed into place); JSON, npz and UBJ, no pickle."""
        raise BqmlUnavailable

    @classmethod
    def load(cls, directory: Path) -> Model:
        """Read what ``save`` wrote. Raises BqmlError(notFound) if there is no model."""
        raise BqmlUnavailable

    def resource(self) -> dict[str, Any]:
        """The fields of the REST v2 ``Model`` resource that the library knows (no modelReference, no etag)."""
        raise BqmlUnavailable

    def export(self, directory: Path) -> None:
        """EXPORT MODEL into ``directory``."""
        raise BqmlUnavailable

    def predict_instances(self, instances: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Vertex AI's online prediction: one response row an instance. Raises BqmlError(invalid) on a bad instance."""
        raise BqmlUnavailable


class BqmlUnavailable(Exception):
    """Not filled yet."""
