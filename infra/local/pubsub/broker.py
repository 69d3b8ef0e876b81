"""Pub/Sub without a wire: topics, subscriptions, publish, deliver, acknowledge, back off, dead-letter, seek.

Every change is committed by the message store before the caller gets its answer, and only then shown to the waiting
subscribers. The contract is Google's: at least once. A message is delivered again until it is acknowledged; a delivery
that was out when the process died is repeated and not counted as failed.

One lock guards everything; no call holds it while it waits for a subscriber.
"""

import secrets
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.local.pubsub.delivery_queue import DeliveryQueue, Holder
from infra.local.pubsub.errors import already_exists, invalid, not_found
from infra.local.pubsub.message_store import MessageStore
from infra.local.pubsub.resources import (
    DELETED_TOPIC,
    PubsubMessage,
    Subscription,
    Topic,
    backoff_seconds,
    check_message,
)


@dataclass(frozen=True)
class Delivery:
    """A message on its way to a subscriber. `attempt` counts from 1; `ack_id` names this very delivery."""

    ack_id: str
    message: Any
    attempt: int


@dataclass
class _Subscribed:
    number: int
    definition: Any
    arrived: threading.Condition
    queue: DeliveryQueue = field(default_factory=DeliveryQueue)


class Broker:
    """All topics and subscriptions of one state file. Thread-safe. Names are full resource names."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._lock = threading.RLock()
        self._clock = clock
        self._store = MessageStore(path)
        # Part of every ack ID: what a client says about a delivery of an earlier process is not of this process's.
        self._process = secrets.token_hex(4)
        self._closed = False
        self._listeners: list[Callable[[str], None]] = []
        self._topics: dict[str, Any] = {}
        self._subscriptions: dict[str, _Subscribed] = {}
        for proto in self._store.topics():
            topic = Topic.FromString(proto)
            self._topics[topic.name] = topic
        for number, proto in self._store.subscriptions():
            self._load(number, Subscription.FromString(proto))

    def close(self) -> None:
        """Wake everybody up and close the file. Later acknowledgements are ignored: the message comes again."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            for subscribed in self._subscriptions.values():
                subscribed.arrived.notify_all()
            self._store.close()

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

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
            subscribed = self._subscribed(subscription.name)
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
            return self._subscribed(name).definition

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
            subscribed = self._subscribed(name)
            self._store.delete_subscription(subscribed.number)
            del self._subscriptions[name]
            subscribed.arrived.notify_all()
        self._tell(name)

    def backlog(self, name: str) -> int:
        """How many messages the subscription has not acknowledged."""
        with self._lock:
            return len(self._subscribed(name).queue)

    # Messages.

    def publish(self, topic: str, messages: Sequence[Any]) -> list[str]:
        """Store the messages for every subscription of the topic, all or none; returns their IDs."""
        if not messages:
            raise invalid("The request has no messages.")
        if len(messages) > 1000:
            raise invalid("A publish request may have at most 1000 messages.")
        for message in messages:
            check_message(message)
        with self._lock:
            self.topic(topic)
            with self._store.transaction():
                stored = self._store_messages(topic, messages)
            self._enqueue(topic, stored)
            return [str(seq) for seq, _ in stored]

    def pull(
        self,
        name: str,
        *,
        limit: int,
        wait: float,
        ack_deadline: float | None = None,
        max_bytes: int | None = None,
        holder: Holder | None = None,
        alive: Callable[[], bool] = lambda: True,
    ) -> list[Delivery]:
        """Deliver up to `limit` messages, waiting up to `wait` seconds for the first one.

        `ack_deadline` (seconds) takes the place of the subscription's own. Nothing is taken once `alive` says no: a
        client that has hung up must not hold messages back.
        """
        give_up = time.monotonic() + wait
        with self._lock:
            while True:
                subscribed = self._subscribed(name)
                if self._closed or not alive():
                    return []
                now = self._clock()
                seconds = ack_deadline if ack_deadline is not None else subscribed.definition.ack_deadline_seconds
                leases = subscribed.queue.lease(
                    now, until=now + seconds, limit=limit, max_bytes=max_bytes, holder=holder
                )
                if leases:
                    protos = self._store.messages([lease.seq for lease in leases])
                    return [
                        Delivery(
                            f"{subscribed.number}-{lease.seq}-{lease.number}-{self._process}",
                            PubsubMessage.FromString(protos[lease.seq]),
                            lease.failures + 1,
                        )
                        for lease in leases
                    ]
                remaining = give_up - time.monotonic()
                if remaining <= 0:
                    return []
                # A full consumer (limit 0) waits for its own acknowledgements, not for the next message.
                due = subscribed.queue.next_available() if limit else None
                subscribed.arrived.wait(min(remaining, 1.0, 1.0 if due is None else max(due - now, 0.001)))

    def acknowledge(self, name: str, ack_ids: Iterable[str]) -> None:
        """The subscriber is done with these. A late acknowledgement counts: the work was done."""
        with self._lock:
            if self._closed:
                return
            subscribed = self._subscribed(name)
            seqs = [seq for seq, _ in self._parse(subscribed, ack_ids) if seq in subscribed.queue]
            with self._store.transaction():
                self._store.acknowledge(subscribed.number, seqs, retain=subscribed.definition.retain_acked_messages)
            for seq in seqs:
                subscribed.queue.remove(seq)
            subscribed.arrived.notify_all()

    def modify_ack_deadline(self, name: str, ack_ids: Iterable[str], seconds: float) -> None:
        """Give the subscriber `seconds` from now; 0 is a failed delivery (a nack). Stale delivery IDs are ignored."""
        with self._lock:
            if self._closed:
                return
            subscribed = self._subscribed(name)
            current = [seq for seq, number in self._parse(subscribed, ack_ids) if subscribed.queue.holds(seq, number)]
            if seconds <= 0:
                self._fail(subscribed, current)
                return
            for seq in current:
                subscribed.queue.extend(seq, self._clock() + seconds)

    def fail(self, name: str, ack_ids: Iterable[str], error: str) -> None:
        """The delivery failed for this reason: deliver again after the back-off, or to the dead-letter topic."""
        with self._lock:
            if self._closed or name not in self._subscriptions:
                return
            subscribed = self._subscriptions[name]
            current = [seq for seq, number in self._parse(subscribed, ack_ids) if subscribed.queue.holds(seq, number)]
            self._fail(subscribed, current, error)

    def release(self, name: str, ack_ids: Iterable[str]) -> None:
        """Take deliveries back without counting them as failed: the fault was not the message's."""
        with self._lock:
            if self._closed or name not in self._subscriptions:
                return
            subscribed = self._subscriptions[name]
            for seq, number in self._parse(subscribed, ack_ids):
                if subscribed.queue.holds(seq, number):
                    subscribed.queue.release(seq, available_at=self._clock())
            subscribed.arrived.notify_all()

    def wake(self, name: str) -> None:
        """Let a waiting `pull` look at its `alive` again."""
        with self._lock:
            if name in self._subscriptions:
                self._subscriptions[name].arrived.notify_all()

    def seek(self, name: str, instant: float) -> None:
        """Acknowledge all that was published before the instant, un-acknowledge what is retained from then on."""
        with self._lock:
            subscribed = self._subscribed(name)
            now = self._clock()
            with self._store.transaction():
                done = self._store.published_before(subscribed.number, instant)
                retain = subscribed.definition.retain_acked_messages
                self._store.acknowledge(subscribed.number, done, retain=retain)
                restored = self._store.restore_from(subscribed.number, instant, now)
            for seq in done:
                subscribed.queue.remove(seq)
            for stored in restored:
                subscribed.queue.add(stored.seq, size=stored.size, available_at=now)
            subscribed.arrived.notify_all()

    def expire_deadlines(self) -> None:
        """Count every delivery whose ack deadline has passed as failed."""
        with self._lock:
            if self._closed:
                return
            for subscribed in list(self._subscriptions.values()):
                expired = subscribed.queue.expired(self._clock())
                if expired:
                    self._fail(subscribed, expired, "The acknowledgement deadline passed.")

    def expire_messages(self) -> None:
        """Drop what is older than its subscription's retention."""
        with self._lock:
            if self._closed:
                return
            for subscribed in self._subscriptions.values():
                oldest = self._clock() - subscribed.definition.message_retention_duration.seconds
                with self._store.transaction():
                    expired = self._store.expire(subscribed.number, oldest)
                for seq in expired:
                    subscribed.queue.remove(seq)

    # What is below is called with the lock held.

    def _load(self, number: int, definition: Any) -> None:
        subscribed = _Subscribed(number, definition, threading.Condition(self._lock))
        for stored in self._store.unacknowledged(number):
            subscribed.queue.add(
                stored.seq, size=stored.size, available_at=stored.available_at, failures=stored.failures
            )
        self._subscriptions[definition.name] = subscribed

    def _put_topic(self, topic: Any) -> None:
        self._store.put_topic(topic.name, topic.SerializeToString())
        self._topics[topic.name] = topic

    def _replace(self, subscribed: _Subscribed, definition: Any) -> None:
        self._store.replace_subscription(subscribed.number, definition.SerializeToString())
        subscribed.definition = definition

    def _subscribed(self, name: str) -> _Subscribed:
        if name not in self._subscriptions:
            raise not_found(name)
        return self._subscriptions[name]

    def _check_dead_letter_topic(self, subscription: Any) -> None:
        if subscription.HasField("dead_letter_policy"):
            self.topic(subscription.dead_letter_policy.dead_letter_topic)

    def _tell(self, name: str) -> None:
        for listener in self._listeners:
            listener(name)

    def _parse(self, subscribed: _Subscribed, ack_ids: Iterable[str]) -> list[tuple[int, int]]:
        parsed = []
        for ack_id in ack_ids:
            try:
                *numbers, process = ack_id.split("-")
                number, seq, lease = (int(part) for part in numbers)
            except ValueError:
                raise invalid(f"Some acknowledgement IDs in the request are malformed (ack_id={ack_id}).") from None
            if number == subscribed.number:
                parsed.append((seq, lease if process == self._process else 0))
        return parsed

    def _store_messages(self, topic: str, messages: Iterable[Any]) -> list[tuple[int, int]]:
        numbers = [s.number for s in self._subscriptions.values() if s.definition.topic == topic]
        now = self._clock()
        stored = []
        for message in messages:
            size = len(message.data) + sum(len(k) + len(v) for k, v in message.attributes.items())
            seq = self._store.next_message(now, size)
            copy = PubsubMessage()
            copy.CopyFrom(message)
            copy.message_id = str(seq)
            copy.publish_time.FromNanoseconds(int(now * 1e6) * 1000)
            self._store.set_message(seq, copy.SerializeToString(), numbers, now)
            stored.append((seq, size))
        return stored

    def _enqueue(self, topic: str, stored: Iterable[tuple[int, int]]) -> None:
        now = self._clock()
        arrived = list(stored)
        for subscribed in self._subscriptions.values():
            if subscribed.definition.topic == topic:
                for seq, size in arrived:
                    subscribed.queue.add(seq, size=size, available_at=now)
                subscribed.arrived.notify_all()

    def _fail(self, subscribed: _Subscribed, seqs: Iterable[int], error: str | None = None) -> None:
        policy = subscribed.definition.dead_letter_policy
        dead_letters = policy.dead_letter_topic in self._topics
        for seq in seqs:
            failures = subscribed.queue.failures(seq) + 1
            if dead_letters and failures >= policy.max_delivery_attempts:
                self._dead_letter(subscribed, seq, failures, error)
                continue
            available_at = self._clock() + backoff_seconds(subscribed.definition, failures)
            self._store.record_failure(subscribed.number, seq, failures, available_at)
            subscribed.queue.release(seq, available_at=available_at, failures=failures)
        subscribed.arrived.notify_all()

    def _dead_letter(self, subscribed: _Subscribed, seq: int, failures: int, error: str | None) -> None:
        # One transaction: the message is never in both places, and never in none.
        definition = subscribed.definition
        topic = definition.dead_letter_policy.dead_letter_topic
        message = PubsubMessage.FromString(self._store.messages([seq])[seq])
        _, project, _, short_name = definition.name.split("/")
        message.attributes["CloudPubSubDeadLetterSourceDeliveryCount"] = str(failures)
        message.attributes["CloudPubSubDeadLetterSourceSubscription"] = short_name
        message.attributes["CloudPubSubDeadLetterSourceSubscriptionProject"] = project
        message.attributes["CloudPubSubDeadLetterSourceTopicPublishTime"] = message.publish_time.ToJsonString()
        if error and definition.bigquery_config.table:
            message.attributes["CloudPubSubDeadLetterSourceDeliveryErrorMessage"] = error[:1000]
        with self._store.transaction():
            stored = self._store_messages(topic, [message])
            self._store.acknowledge(subscribed.number, [seq], retain=definition.retain_acked_messages)
        subscribed.queue.remove(seq)
        self._enqueue(topic, stored)
