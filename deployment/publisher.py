"""Messages to the next stage, confirmed by Pub/Sub before the call returns."""

from __future__ import annotations

from typing import Protocol

from google.cloud.pubsub_v1 import PublisherClient

from deployment.stages.message import StageMessage
from etl.errors import UnavailableError
from etl.settings import Settings

_TIMEOUT = 60.0


class Publisher(Protocol):
    """Where a stage's successor is announced."""

    def publish(self, message: StageMessage) -> str:
        """Publish and wait for the confirmation; returns Pub/Sub's message ID."""


class StagePublisher:
    """Publishes to the topic of the message's stage.

    Args:
        settings: The environment.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client = PublisherClient()

    def publish(self, message: StageMessage) -> str:
        """Publish and wait for the confirmation.

        Raises:
            UnavailableError: Pub/Sub cannot be reached; nothing is known to be published.
        """
        topic = self._settings.stage_topic(message.stage)
        try:
            future = self._client.publish(
                topic,
                message.model_dump_json().encode(),
                model=message.model,
                run_id=message.run_id,
                stage=message.stage,
            )
            return str(future.result(timeout=_TIMEOUT))
        except Exception as error:
            raise UnavailableError(f"could not publish to {topic}: {error}") from error
