"""The parts of bqloop put together for one environment: what an entry point or a command starts from.

Clients are made when first used and kept, because a Cloud Function's instance serves many messages.
"""

from __future__ import annotations

from functools import cached_property

from google.cloud import bigquery

from deployment.publisher import StagePublisher
from deployment.registry import Registry
from deployment.stages.message import StageMessage
from deployment.stages.run import Run, policy_of
from etl.clients import bigquery_client
from etl.errors import InputError
from etl.ledger import Ledger
from etl.settings import Settings
from etl.templates import Templates
from etl.warehouse import Deadline, Warehouse


class Application:
    """bqloop in one environment.

    Args:
        settings: The environment.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._templates: dict[str, Templates] = {}

    @cached_property
    def bigquery(self) -> bigquery.Client:
        """The BigQuery client."""
        return bigquery_client(self.settings)

    @cached_property
    def registry(self) -> Registry:
        """The versions in Vertex AI."""
        return Registry(self.settings)

    @cached_property
    def publisher(self) -> StagePublisher:
        """Messages to the stages."""
        return StagePublisher(self.settings)

    def templates(self, model: str) -> Templates:
        """The SQL of a model as it stands in the tree.

        Raises:
            InputError: The environment has no such model.
        """
        if model not in self.settings.models:
            known = ", ".join(self.settings.models)
            raise InputError(f"model: {model!r} is not one of this environment's models ({known})")
        if model not in self._templates:
            self._templates[model] = Templates.from_tree(model)
        return self._templates[model]

    def warehouse(self, model: str) -> Warehouse:
        """The way to BigQuery within the model's budget."""
        budget = policy_of(self.templates(model)).budget.maximum_bytes_billed
        return Warehouse(self.bigquery, self.settings, maximum_bytes_billed=budget)

    def ledger(self, model: str) -> Ledger:
        """The loop's record of a model."""
        return Ledger(self.warehouse(model), self.templates(model), git_sha=self.settings.git_sha)

    def run(self, message: StageMessage, *, deadline: Deadline | None = None) -> Run:
        """One stage of one run, ready to be carried out."""
        return Run(
            message=message,
            settings=self.settings,
            templates=self.templates(message.model),
            warehouse=self.warehouse(message.model),
            ledger=self.ledger(message.model),
            registry=self.registry,
            deadline=deadline,
        )
