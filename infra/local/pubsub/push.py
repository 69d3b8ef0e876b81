"""Push subscriptions: every message as an HTTP POST to its endpoint, in Pub/Sub's wrapper.

102, 200, 201, 202 and 204 acknowledge; anything else, a broken connection and an answer later than the ack deadline are
failed deliveries. Up to `CONCURRENCY` messages of a subscription are out at a time.
"""

import base64
import json
import threading
from collections.abc import Callable
from typing import Any

import urllib3

from infra.local.pubsub.broker import Broker, Delivery
from infra.local.pubsub.consumer import Consumer

IdentityToken = Callable[[str, str], str]
CONCURRENCY = 16
_ACKNOWLEDGED = {102, 200, 201, 202, 204}


class PushConsumer(Consumer):
    """Delivers one push subscription. `identity_token(service_account_email, audience)` makes the bearer token."""

    def __init__(self, broker: Broker, definition: Any, identity_token: IdentityToken | None) -> None:
        super().__init__(broker, definition)
        self._identity_token = identity_token
        self._slots = threading.Semaphore(CONCURRENCY)
        self._http = urllib3.PoolManager(num_pools=4, maxsize=CONCURRENCY, retries=False)

    def ready(self) -> bool:
        """Whether a slot is free; it is kept for the delivery."""
        if not self._slots.acquire(timeout=0.5):
            return False
        self._slots.release()  # Only this thread takes slots, so it is still free when `deliver` wants it.
        return True

    def deliver(self, deliveries: list[Delivery]) -> None:
        """POST the message on a thread of its own and settle it by the answer."""
        for delivery in deliveries:
            self._slots.acquire()
            threading.Thread(target=self._post, args=(delivery,), name=f"push-{delivery.ack_id}", daemon=True).start()

    def _post(self, delivery: Delivery) -> None:
        try:
            error = self._error_of_post(delivery)
            if error is None:
                self._broker.acknowledge(self.name, [delivery.ack_id])
            elif self._stopped.is_set():
                # The endpoint may have been stopped with us; that is not the message's fault.
                self._broker.release(self.name, [delivery.ack_id])
            else:
                self._broker.fail(self.name, [delivery.ack_id], error)
        finally:
            self._slots.release()

    def _error_of_post(self, delivery: Delivery) -> str | None:
        config = self._definition.push_config
        headers = {"Content-Type": "application/json", "User-Agent": "CloudPubSub-Google"}
        if config.oidc_token.service_account_email and self._identity_token is not None:
            audience = config.oidc_token.audience or config.push_endpoint
            token = self._identity_token(config.oidc_token.service_account_email, audience)
            headers["Authorization"] = f"Bearer {token}"
        seconds = self._definition.ack_deadline_seconds
        try:
            response = self._http.request(
                "POST",
                config.push_endpoint,
                body=json.dumps(push_body(self._definition, delivery)).encode(),
                headers=headers,
                timeout=urllib3.Timeout(connect=min(10, seconds), read=seconds),
                redirect=False,
            )
        except urllib3.exceptions.HTTPError as error:
            return f"{type(error).__name__}: {error}"
        if response.status in _ACKNOWLEDGED:
            return None
        return f"The push endpoint answered {response.status}."


def push_body(definition: Any, delivery: Delivery) -> dict[str, Any]:
    """The JSON that Pub/Sub posts: the message, its subscription and, under a dead-letter policy, the attempt."""
    message = delivery.message
    published = message.publish_time.ToJsonString()
    wrapped: dict[str, Any] = {
        "attributes": dict(message.attributes),
        # Present even when empty: functions-framework takes a body without it for something else than a message.
        "data": base64.b64encode(message.data).decode(),
        "messageId": message.message_id,
        "message_id": message.message_id,
        "publishTime": published,
        "publish_time": published,
    }
    if message.ordering_key:
        wrapped["orderingKey"] = message.ordering_key
    body: dict[str, Any] = {"message": wrapped, "subscription": definition.name}
    if definition.HasField("dead_letter_policy"):
        body["deliveryAttempt"] = delivery.attempt
    return body
