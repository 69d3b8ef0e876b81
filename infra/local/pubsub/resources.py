"""What a topic or subscription may say: Pub/Sub's own rules, its defaults, and what is refused by name here.

Works on the raw protobuf messages of `google.pubsub_v1`. Touches no state.
"""

import re
from typing import Any

from google.pubsub_v1 import types

from infra.local.pubsub.errors import invalid, unsupported

Topic: Any = types.Topic.pb()
Subscription: Any = types.Subscription.pb()
PubsubMessage: Any = types.PubsubMessage.pb()

DELETED_TOPIC = "_deleted-topic_"
_NAME = re.compile(r"projects/[^/]+/(topics|subscriptions)/(?!goog)[A-Za-z][A-Za-z0-9\-._~+%]{2,254}")
_TOPIC_FIELDS = {"name", "labels"}
_SUBSCRIPTION_FIELDS = {
    "name",
    "topic",
    "push_config",
    "bigquery_config",
    "ack_deadline_seconds",
    "retain_acked_messages",
    "message_retention_duration",
    "labels",
    "dead_letter_policy",
    "retry_policy",
}
_OUTPUT_FIELDS = {"state", "detached", "topic_message_retention_duration", "analytics_hub_subscription_info"}
_PUSH_FIELDS = {"push_endpoint", "attributes", "oidc_token", "pubsub_wrapper"}
_BIGQUERY_FIELDS = {
    "table",
    "write_metadata",
    "drop_unknown_fields",
    "use_table_schema",
    "service_account_email",
    "state",
}
MUTABLE_TOPIC_FIELDS = {"labels"}
MUTABLE_SUBSCRIPTION_FIELDS = _SUBSCRIPTION_FIELDS - {"name", "topic"}
_WEEK = 7 * 24 * 3600


def check_name(name: str, kind: str) -> None:
    """Raise INVALID_ARGUMENT unless `name` is `projects/P/<kind>/NAME` in Pub/Sub's alphabet."""
    match = _NAME.fullmatch(name)
    if match is None or match.group(1) != kind:
        raise invalid(f"Invalid [{kind}] name: (name={name}).")


def checked_topic(request: Any) -> Any:
    """A copy of a topic to be stored, or the reason why it cannot be."""
    check_name(request.name, "topics")
    _refuse_unknown(request, _TOPIC_FIELDS | _OUTPUT_FIELDS, "topic")
    topic = Topic()
    topic.CopyFrom(request)
    topic.state = types.Topic.State.ACTIVE
    return topic


def checked_subscription(request: Any) -> Any:
    """A copy of a subscription with Pub/Sub's defaults filled in, or the reason why it cannot be.

    Defaults: 10 s to acknowledge, messages kept for 7 days, dead letter after 5 deliveries, back-off from 10 s to 600 s.
    """
    check_name(request.name, "subscriptions")
    _refuse_unknown(request, _SUBSCRIPTION_FIELDS | _OUTPUT_FIELDS, "subscription")
    subscription = Subscription()
    subscription.CopyFrom(request)
    subscription.state = types.Subscription.State.ACTIVE
    subscription.ack_deadline_seconds = subscription.ack_deadline_seconds or 10
    if not 10 <= subscription.ack_deadline_seconds <= 600:
        raise invalid(
            f"Invalid ack deadline given: (ack_deadline_seconds={subscription.ack_deadline_seconds});"
            " it must be between 10 and 600 seconds."
        )
    if not subscription.HasField("message_retention_duration"):
        subscription.message_retention_duration.seconds = _WEEK
    if not 600 <= subscription.message_retention_duration.seconds <= 31 * 24 * 3600:
        raise invalid("message_retention_duration must be between 10 minutes and 31 days.")
    if subscription.push_config.push_endpoint and subscription.bigquery_config.table:
        raise invalid("A subscription delivers either by push or to BigQuery, not both.")
    _check_push_config(subscription.push_config)
    _check_bigquery_config(subscription.bigquery_config)
    _check_dead_letter_policy(subscription)
    _check_retry_policy(subscription)
    return subscription


def check_message(message: Any) -> None:
    """Raise INVALID_ARGUMENT for a message that Pub/Sub would not take."""
    if not message.data and not message.attributes:
        raise invalid("Some messages in the batch are invalid: a message needs data or at least one attribute.")
    if len(message.data) > 10_000_000:
        raise invalid("The message is too large: data may hold at most 10,000,000 bytes.")
    if len(message.attributes) > 100:
        raise invalid("A message may have at most 100 attributes.")
    for key, value in message.attributes.items():
        if not key or len(key.encode()) > 256 or len(value.encode()) > 1024 or key.startswith("goog"):
            raise invalid(f"Invalid attribute {key!r}: keys have 1 to 256 bytes and no goog prefix, values up to 1024.")


def backoff_seconds(subscription: Any, failures: int) -> float:
    """How long to wait before the next delivery, after `failures` (≥ 1) failed ones.

    Exponential from the retry policy's minimum to its maximum. Without a policy a pull subscription gets the message
    again at once, and a push endpoint after 0.1 s, 0.2 s, ... 60 s, as Google's push back-off does.
    """
    if subscription.HasField("retry_policy"):
        low = _seconds(subscription.retry_policy.minimum_backoff)
        high = _seconds(subscription.retry_policy.maximum_backoff)
    elif subscription.push_config.push_endpoint or subscription.bigquery_config.table:
        low, high = 0.1, 60.0
    else:
        return 0.0
    # The exponent is bounded before the power is taken: a message may fail for a week.
    return float(min(high, low * 2.0 ** min(failures - 1, 32)))


def _check_push_config(config: Any) -> None:
    _refuse_unknown(config, _PUSH_FIELDS, "push_config")
    endpoint = config.push_endpoint
    if endpoint and not endpoint.startswith(("http://", "https://")):
        raise invalid(f"Invalid push endpoint given: (endpoint={endpoint}); it must be a URL.")


def _check_bigquery_config(config: Any) -> None:
    _refuse_unknown(config, _BIGQUERY_FIELDS, "bigquery_config")
    if config.table and len(config.table.replace(":", ".", 1).split(".")) != 3:
        raise invalid(f"Invalid BigQuery table {config.table!r}: write project.dataset.table.")


def _check_dead_letter_policy(subscription: Any) -> None:
    if not subscription.HasField("dead_letter_policy"):
        return
    policy = subscription.dead_letter_policy
    check_name(policy.dead_letter_topic, "topics")
    policy.max_delivery_attempts = policy.max_delivery_attempts or 5
    if not 5 <= policy.max_delivery_attempts <= 100:
        raise invalid("max_delivery_attempts must be between 5 and 100.")


def _check_retry_policy(subscription: Any) -> None:
    if not subscription.HasField("retry_policy"):
        return
    policy = subscription.retry_policy
    if not policy.HasField("minimum_backoff"):
        policy.minimum_backoff.seconds = 10
    if not policy.HasField("maximum_backoff"):
        policy.maximum_backoff.seconds = 600
    if not 0 <= _seconds(policy.minimum_backoff) <= _seconds(policy.maximum_backoff) <= 600:
        raise invalid("retry_policy: 0 <= minimum_backoff <= maximum_backoff <= 600 seconds.")


def _seconds(duration: Any) -> float:
    return float(duration.seconds + duration.nanos / 1e9)


def _refuse_unknown(message: Any, known: set[str], what: str) -> None:
    for descriptor, _ in message.ListFields():
        if descriptor.name not in known:
            raise unsupported(f"{what}.{descriptor.name}")
