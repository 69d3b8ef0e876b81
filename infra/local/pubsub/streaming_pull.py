"""One streaming pull: messages out as they come, acknowledgements in, within the flow control that the client asked for."""

import threading
from collections.abc import Iterator
from typing import Any

import grpc
from google.pubsub_v1 import types

from infra.local.pubsub.broker import Broker, Delivery
from infra.local.pubsub.delivery_queue import Holder
from infra.local.pubsub.errors import PubSubError, invalid

# How often a stream that has nothing to send looks whether its client is still there.
_HEARTBEAT = 0.5
_BATCH = 500


def streaming_pull(broker: Broker, requests: Iterator[Any], context: Any) -> Iterator[Any]:
    """Answer one stream until the client ends it. Raises PubSubError for a bad first request or a deleted subscription.

    What was sent and not acknowledged when the stream breaks comes again after its ack deadline, as on Google Cloud.
    """
    first = next(requests, None)
    if first is None:
        return
    if not 10 <= first.stream_ack_deadline_seconds <= 600:
        raise invalid("stream_ack_deadline_seconds must be between 10 and 600.")
    definition = broker.directory.subscription(first.subscription)
    if definition.push_config.push_endpoint or definition.bigquery_config.table:
        raise PubSubError(
            grpc.StatusCode.FAILED_PRECONDITION, "This method is not supported for this subscription type."
        )
    stream = _Stream(broker, first)
    stream.apply(first)
    reader = threading.Thread(target=stream.read, args=(requests,), name="pubsub-stream-reader", daemon=True)
    reader.start()
    # The first answer goes out at once: it tells the client that the stream stands.
    yield types.StreamingPullResponse.pb()(
        subscription_properties=types.StreamingPullResponse.SubscriptionProperties.pb()()
    )
    while context.is_active() and not broker.closed:
        deliveries = broker.pull(
            first.subscription,
            limit=stream.room(),
            wait=_HEARTBEAT,
            ack_deadline=stream.ack_deadline,
            max_bytes=4_000_000,
            holder=stream.holder,
            alive=lambda: bool(context.is_active()),
        )
        if stream.half_closed and not deliveries:
            return
        if deliveries:
            yield types.StreamingPullResponse.pb()(
                received_messages=[received_message(definition, delivery) for delivery in deliveries]
            )


def received_message(definition: Any, delivery: Delivery) -> Any:
    """A delivery as a subscriber gets it. The attempt is told only under a dead-letter policy, as Google does."""
    counted = definition.HasField("dead_letter_policy")
    return types.ReceivedMessage.pb()(
        ack_id=delivery.ack_id, message=delivery.message, delivery_attempt=delivery.attempt if counted else 0
    )


class _Stream:
    """The client's half of a stream: what it may hold, its ack deadline, and what it says while it listens."""

    def __init__(self, broker: Broker, first: Any) -> None:
        self._broker = broker
        self._subscription = first.subscription
        self._max_messages = first.max_outstanding_messages
        self._max_bytes = first.max_outstanding_bytes
        self.ack_deadline = float(first.stream_ack_deadline_seconds)
        self.holder = Holder()
        self.half_closed = False

    def room(self) -> int:
        """How many more messages the client takes; 0 holds the stream until it acknowledges some."""
        if self._max_bytes > 0 and self.holder.bytes >= self._max_bytes:
            return 0
        if self._max_messages > 0:
            return max(0, min(_BATCH, int(self._max_messages) - self.holder.messages))
        return _BATCH

    def read(self, requests: Iterator[Any]) -> None:
        """Take the client's further requests until it stops sending."""
        try:
            for request in requests:
                self.apply(request)
        except (grpc.RpcError, PubSubError):
            pass  # The stream is over, or its subscription is: the sending half finds out by itself.
        finally:
            self.half_closed = True
            self._broker.wake(self._subscription)

    def apply(self, request: Any) -> None:
        """Acknowledge, extend, nack; all of them best effort, as without exactly-once delivery."""
        if request.stream_ack_deadline_seconds:
            self.ack_deadline = float(request.stream_ack_deadline_seconds)
        if request.ack_ids:
            self._broker.acknowledge(self._subscription, request.ack_ids)
        for ack_id, seconds in zip(request.modify_deadline_ack_ids, request.modify_deadline_seconds, strict=False):
            self._broker.modify_ack_deadline(self._subscription, [ack_id], seconds)
