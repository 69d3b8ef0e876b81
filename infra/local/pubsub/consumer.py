"""What a push and a BigQuery subscription have in common: a thread of their own that takes messages and delivers them."""

import logging
import threading
import time
from abc import ABC, abstractmethod
from typing import Any

from infra.local.pubsub.broker import Broker, Delivery
from infra.local.pubsub.errors import PubSubError

_log = logging.getLogger(__name__)


class Consumer(ABC):
    """Feeds one subscription to `deliver` on a daemon thread, until it is stopped or the subscription is deleted."""

    batch = 1
    # Beyond the subscription's own deadline, so that the consumer itself says what happened to a slow delivery.
    margin_seconds = 30.0

    def __init__(self, broker: Broker, definition: Any) -> None:
        self._broker = broker
        self._definition = definition
        self._stopped = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name=f"pubsub-{definition.name.rsplit('/', 1)[-1]}", daemon=True
        )

    @property
    def name(self) -> str:
        """The subscription."""
        return str(self._definition.name)

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def stop(self) -> None:
        """Take no more messages. A delivery that is under way is not waited for: it comes again if it was not settled."""
        self._stopped.set()
        self._broker.wake(self.name)

    def join(self, seconds: float) -> None:
        """Wait until the thread has ended."""
        self._thread.join(seconds)

    def ready(self) -> bool:
        """Whether another batch may be taken; waits a moment if not."""
        return True

    @abstractmethod
    def deliver(self, deliveries: list[Delivery]) -> None:
        """Deliver and settle them: acknowledge, fail or release each."""

    def _run(self) -> None:
        while not self._stopped.is_set() and not self._broker.closed:
            try:
                if not self.ready():
                    continue
                deliveries = self._broker.pull(
                    self.name,
                    limit=self.batch,
                    wait=30.0,
                    ack_deadline=self._definition.ack_deadline_seconds + self.margin_seconds,
                    max_bytes=8_000_000,
                    alive=lambda: not self._stopped.is_set(),
                )
                if deliveries:
                    self.deliver(deliveries)
            except PubSubError:
                return  # The subscription was deleted.
            except Exception:  # noqa: BLE001 - logged; a consumer that dies would hold its subscription for ever
                if self._broker.closed:
                    return
                _log.exception("Delivering %s failed", self.name)
                time.sleep(1.0)
