"""Pub/Sub without a wire: publish, deliver, acknowledge, back off, dead-letter, seek; `directory` says to whom.

Every change is committed by the message store before the caller gets its answer, and only then shown to the waiting
subscribers. The contract is Google's: at least once. A message is delivered again until it is acknowledged; a delivery
that was out when the process died is repeated and not counted as failed.

One lock guards everything; no call holds it while it waits for a subscriber.
"""

import secrets
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.local.pubsub.delivery_queue import Holder
from infra.local.pubsub.directory import Directory, Subscribed
from infra.local.pubsub.errors import invalid
from infra.local.pubsub.message_store import MessageStore
from infra.local.pubsub.resources import PubsubMessage, backoff_seconds, check_message


@dataclass(frozen=True)
class Delivery:
    """A message on its way to a subscriber. `attempt` counts from 1; `ack_id` names this very delivery."""

    ack_id: str
    message: Any
    attempt: int


class Broker:
    """The messages of one state file. Thread-safe. Names are full resource names."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._lock = threading.RLock()
        self._clock = clock
        self._store = MessageStore(path)
        # Part of every ack ID: what a client says about a delivery of an earlier process is not of this process's.
        self._process = secrets.token_hex(4)
        self._closed = False
        self.directory = Directory(self._store, self._lock)

    def close(self) -> None:
        """Wake everybody up and close the file. Later acknowledgements are ignored: the message comes again."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            for subscribed in self.directory.all():
                subscribed.arrived.notify_all()
            self._store.close()

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def backlog(self, name: str) -> int:
        """How many messages the subscription has not acknowledged."""
        with self._lock:
            return len(self.directory.subscribed(name).queue)

    def publish(self, topic: str, messages: Sequence[Any]) -> list[str]:
        """Store the messages for every subscription of the topic, all or none; returns their IDs."""
        if not messages:
            raise invalid("The request has no messages.")
        if len(messages) > 1000:
            raise invalid("A publish request may have at most 1000 messages.")
        for message in messages:
            check_message(message)
        with self._lock:
            self.directory.topic(topic)
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
                subscribed = self.directory.subscribed(name)
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
            subscribed = self.directory.subscribed(name)
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
            subscribed = self.directory.subscribed(name)
            current = [seq for seq, number in self._parse(subscribed, ack_ids) if subscribed.queue.holds(seq, number)]
            if seconds <= 0:
                self._fail(subscribed, current)
                return
            for seq in current:
                subscribed.queue.extend(seq, self._clock() + seconds)

    def fail(self, name: str, ack_ids: Iterable[str], error: str) -> None:
        """The delivery failed for this reason: deliver again after the back-off, or to the dead-letter topic."""
        with self._lock:
            if self._closed or name not in self.directory:
                return
            subscribed = self.directory.subscribed(name)
            current = [seq for seq, number in self._parse(subscribed, ack_ids) if subscribed.queue.holds(seq, number)]
            self._fail(subscribed, current, error)

    def release(self, name: str, ack_ids: Iterable[str]) -> None:
        """Take deliveries back without counting them as failed: the fault was not the message's."""
        with self._lock:
            if self._closed or name not in self.directory:
                return
            subscribed = self.directory.subscribed(name)
            for seq, number in self._parse(subscribed, ack_ids):
                if subscribed.queue.holds(seq, number):
                    subscribed.queue.release(seq, available_at=self._clock())
            subscribed.arrived.notify_all()

    def wake(self, name: str) -> None:
        """Let a waiting `pull` look at its `alive` again."""
        with self._lock:
            if name in self.directory:
                self.directory.subscribed(name).arrived.notify_all()

    def seek(self, name: str, instant: float) -> None:
        """Acknowledge all that was published before the instant, un-acknowledge what is retained from then on."""
        with self._lock:
            subscribed = self.directory.subscribed(name)
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
            for subscribed in self.directory.all():
                expired = subscribed.queue.expired(self._clock())
                if expired:
                    self._fail(subscribed, expired, "The acknowledgement deadline passed.")

    def expire_messages(self) -> None:
        """Drop what is older than its subscription's retention."""
        with self._lock:
            if self._closed:
                return
            for subscribed in self.directory.all():
                oldest = self._clock() - subscribed.definition.message_retention_duration.seconds
                with self._store.transaction():
                    expired = self._store.expire(subscribed.number, oldest)
                for seq in expired:
                    subscribed.queue.remove(seq)

    # What is below is called with the lock held.

    def _parse(self, subscribed: Subscribed, ack_ids: Iterable[str]) -> list[tuple[int, int]]:
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
        numbers = [subscribed.number for subscribed in self.directory.of_topic(topic)]
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
        for subscribed in self.directory.of_topic(topic):
            for seq, size in arrived:
                subscribed.queue.add(seq, size=size, available_at=now)
            subscribed.arrived.notify_all()

    def _fail(self, subscribed: Subscribed, seqs: Iterable[int], error: str | None = None) -> None:
        policy = subscribed.definition.dead_letter_policy
        dead_letters = self.directory.has_topic(policy.dead_letter_topic)
        for seq in seqs:
            failures = subscribed.queue.failures(seq) + 1
            if dead_letters and failures >= policy.max_delivery_attempts:
                self._dead_letter(subscribed, seq, failures, error)
                continue
            available_at = self._clock() + backoff_seconds(subscribed.definition, failures)
            self._store.record_failure(subscribed.number, seq, failures, available_at)
            subscribed.queue.release(seq, available_at=available_at, failures=failures)
        subscribed.arrived.notify_all()

    def _dead_letter(self, subscribed: Subscribed, seq: int, failures: int, error: str | None) -> None:
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
