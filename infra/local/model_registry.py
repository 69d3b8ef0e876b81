"""The seam between the local BigQuery and the local Vertex AI: what `CREATE MODEL … model_registry='vertex_ai'` calls.

On Google Cloud BigQuery writes into the Vertex AI Model Registry behind the user's back. Here the two stand-ins are
parts of their own and know only these two protocols: `bigquery` registers what it has trained, `vertex` implements the
registry, and loads a deployed model as a `Predictor` without knowing what trained it. Nothing of either belongs here.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol


class RegistryError(Exception):
    """The registry refused. `reason` is the error reason as BigQuery names it: invalid, notFound, duplicate, ..."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class ModelRegistry(Protocol):
    """The Vertex AI Model Registry as BigQuery sees it."""

    def register(
        self,
        *,
        project: str,
        location: str,
        vertex_ai_model_id: str,
        aliases: Sequence[str],
        bigquery_model: str,
        model_dir: Path,
        model_type: str,
        labels: Mapping[str, str],
    ) -> str:
        """Register a trained BigQuery model and return its version ID ("1", "2", ...).

        Makes the Vertex model if there is none of that ID, else a further version of it. Every given alias moves to
        the new version; the first version also gets `default`. `bigquery_model` is "project.dataset.model" and is
        registered at most once: a second call with the same name returns the version it already has. `location` is
        BigQuery's ("US", "EU" or a region); `model_dir` must stay as it is for as long as the version exists.

        Raises:
            RegistryError: the ID or an alias is malformed (`invalid`).
        """
        ...

    def unregister(self, bigquery_model: str) -> None:
        """Delete the version of that BigQuery model; with its last version the Vertex model goes too.

        A model that is not registered is not an error: `DROP MODEL` need not know.

        Raises:
            RegistryError: the version is deployed to an endpoint and must be undeployed first (`invalid`).
        """
        ...


class Predictor(Protocol):
    """What a deployed version is asked; a trained model of `bqml` is one."""

    def predict_instances(self, instances: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """One response row an instance, in Vertex's form for models that BigQuery trained.

        Raises:
            ValueError: an instance does not fit the model; the message says which and why. Any other exception whose
                `reason` is "invalid" means the same, so that a library need not know this module.
        """
        ...
