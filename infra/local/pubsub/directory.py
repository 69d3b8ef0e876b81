"""Which topics and subscriptions there are, each with its own queue: made, changed, listed, deleted, told of.

Guarded by the broker's lock, which it is given; every change is committed by the message store before it is seen here.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from infra.local.pubsub.delivery_queue import DeliveryQueue
from infra.local.pubsub.errors import already_exists, not_found
from infra.local.pubsub.message_store import MessageStore
from infra.local.pubsub.resources import DELETED_TOPIC, Subscription, Topic


@dataclass
class Subscribed:
    """A subscription and what it has not acknowledged. `arrived` rests on the lock that guards everything."""

    number: int
    definition: Any
    arrived: threading.Condition
    queue: DeliveryQueue = field(default_factory=DeliveryQueue)


class Directory:
    """The topics and subscriptions of one state file. Thread-safe. Names are full resource names."""

    def __init__(self, store: MessageStore, lock: threading.RLock) -> None:
        self._store = store
        self._lock = lock
        self._listeners: list[Callable[[str], None]] = []
        self._topics: dict[str, Any] = {}
        self._subscriptions: dict[str, Subscribed] = {}
        for proto in self._store.topics():
            topic = Topic.FromString(proto)
            self._topics[topic.name] = topic
        for number, proto in self._store.subscriptions():
            self._load(number, Subscription.FromString(proto))

    def __contains__(self, subscription: str) -> bool:
        return subscription in self._subscriptions

    def on_change(self, listener: Callable[[str], None]) -> None:
        """Call `listener(subscription)` after a subscription is created, changed or deleted."""
        self._listeners.append(listener)

    # Topics.

    def create_topic(self, topic: Any) -> Any:
        """Store a checked topic."""
        with self._lock:
            if topic.name in self._topics:
                raise already_exists(topic.name)
            self._put_topic(topic)
            return topic

    def update_topic(self, topic: Any) -> Any:
        """Replace a checked topic."""
        with self._lock:
            self.topic(topic.name)
            self._put_topic(topic)
            return topic

    def topic(self, name: str) -> Any:
        """The topic, or NOT_FOUND."""
        with self._lock:
            if name not in self._topics:
                raise not_found(name)
            return self._topics[name]

    def topics(self, project: str) -> list[Any]:
        """The topics of `projects/P`, by name."""
        with self._lock:
            return [t for name, t in sorted(self._topics.items()) if name.startswith(f"{project}/topics/")]

    def delete_topic(self, name: str) -> None:
        """Delete a topic. Its subscriptions keep what they have, and belong to `_deleted-topic_` from now on."""
        with self._lock:
            self.topic(name)
            self._store.delete_topic(name)
            del self._topics[name]
            for subscribed in self._subscriptions.values():
                if subscribed.definition.topic == name:
                    changed = Subscription()
                    changed.CopyFrom(subscribed.definition)
                    changed.topic = DELETED_TOPIC
                    self._replace(subscribed, changed)

    # Subscriptions.

    def create_subscription(self, subscription: Any) -> Any:
        """Store a checked subscription; it gets what is published from now on."""
        with self._lock:
            self.topic(subscription.topic)
            self._check_dead_letter_topic(subscription)
            if subscription.name in self._subscriptions:
                raise already_exists(subscription.name)
            number = self._store.add_subscription(subscription.name, subscription.SerializeToString())
            self._load(number, subscription)
        self._tell(subscription.name)
        return subscription

    def update_subscription(self, subscription: Any) -> Any:
        """Replace a checked subscription; what it has not acknowledged stays."""
        with self._lock:
            subscribed = self.subscribed(subscription.name)
            self._check_dead_letter_topic(subscription)
            self._replace(subscribed, subscription)
            subscribed.arrived.notify_all()
        self._tell(subscription.name)
        return subscription

    def report_state(self, name: str, state: int, bigquery_state: int) -> None:
        """Show in the subscription whether its table takes the rows; not stored, and no change of what was asked."""
        with self._lock:
            if name in self._subscriptions:
                self._subscriptions[name].definition.state = state
                self._subscriptions[name].definition.bigquery_config.state = bigquery_state

    def subscription(self, name: str) -> Any:
        """The subscription, or NOT_FOUND."""
        with self._lock:
            return self.subscribed(name).definition

    def subscriptions(self, *, project: str | None = None, topic: str | None = None) -> list[Any]:
        """The subscriptions of `projects/P`, of a topic, or all of them, by name."""
        with self._lock:
            return [
                s.definition
                for name, s in sorted(self._subscriptions.items())
                if (project is None or name.startswith(f"{project}/subscriptions/"))
                and (topic is None or s.definition.topic == topic)
            ]

    def delete_subscription(self, name: str) -> None:
        """Delete a subscription and what it had not acknowledged."""
        with self._lock:
            subscribed = self.subscribed(name)
            self._store.delete_subscription(subscribed.number)
            del self._subscriptions[name]
            subscribed.arrived.notify_all()
        self._tell(name)

    # For the broker, which holds the lock.

    def all(self) -> list[Subscribed]:
        """Every subscription."""
        return list(self._subscriptions.values())

    def of_topic(self, topic: str) -> list[Subscribed]:
        """Those that get what is published to a topic."""
        return [s for s in self._subscriptions.values() if s.definition.topic == topic]

    def has_topic(self, name: str) -> bool:
        """Whether there is such a topic."""
        return name in self._topics

    def subscribed(self, name: str) -> Subscribed:
        """The subscription with its queue, or NOT_FOUND."""
        if name not in self._subscriptions:
            raise not_found(name)
        return self._subscriptions[name]

    def _load(self, number: int, definition: Any) -> None:
        subscribed = Subscribed(number, definition, threading.Condition(self._lock))
        for stored in self._store.unacknowledged(number):
            subscribed.queue.add(
                stored.seq, size=stored.size, available_at=stored.available_at, failures=stored.failures
            )
        self._subscriptions[definition.name] = subscribed

    def _put_topic(self, topic: Any) -> None:
        self._store.put_topic(topic.name, topic.SerializeToString())
        self._topics[topic.name] = topic

    def _replace(self, subscribed: Subscribed, definition: Any) -> None:
        self._store.replace_subscription(subscribed.number, definition.SerializeToString())
        subscribed.definition = definition

    def _check_dead_letter_topic(self, subscription: Any) -> None:
        if subscription.HasField("dead_letter_policy"):
            self.topic(subscription.dead_letter_policy.dead_letter_topic)

    def _tell(self, name: str) -> None:
        for listener in self._listeners:
            listener(name)
