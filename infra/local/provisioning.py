"""Topics and subscriptions of one environment, as Terraform makes them on Google Cloud; through Pub/Sub's own clients.

Runs at every start: what is missing is created, what stands is brought to what the environment says (the functions'
address changes with the port), what is waiting in it stays.
"""

from collections.abc import Mapping
from typing import Any

from google.api_core.exceptions import AlreadyExists
from google.protobuf import duration_pb2, field_mask_pb2
from google.pubsub_v1 import PublisherClient, SubscriberClient

# The limits of an ack deadline on Google Cloud, in seconds.
_SHORTEST_DEADLINE, _LONGEST_DEADLINE = 10, 600
_UPDATED = ["push_config", "ack_deadline_seconds", "retry_policy", "dead_letter_policy", "bigquery_config"]


def provision(
    config: Mapping[str, Any], publisher: PublisherClient, subscriber: SubscriberClient, *, functions: str | None
) -> None:
    """Make every topic and subscription of an environment.

    Args:
        config: The environment file: `project`, `dataset`, `functions`, `delivery`, `schedules`, `inference_log`.
        publisher: Speaks to the Pub/Sub.
        subscriber: The same.
        functions: Where functions answer, `http://host:port`; with None their messages wait.
    """
    topics = {job["topic"] for job in config.get("schedules", {}).values()}
    topics |= {f["topic"] for f in config.get("functions", {}).values() if f["trigger"] == "pubsub"}
    dead_letters = config.get("delivery", {}).get("dead_letter_topic")
    if dead_letters:
        topics.add(dead_letters)
    if log := config.get("inference_log"):
        topics.add(log["topic"])
    for topic in sorted(topics):
        _create_topic(publisher, _topic(config, topic))
    for subscription in _subscriptions(config, functions):
        _create_or_update(subscriber, subscription)


def function_subscription(topic: str) -> str:
    """The short name of the subscription that feeds a topic's function: the topic's. Dead letters are told by it."""
    return topic


def table_subscription(topic: str) -> str:
    """The short name of the subscription that writes a topic to BigQuery."""
    return f"{topic}-bigquery"


def _subscriptions(config: Mapping[str, Any], functions: str | None) -> list[dict[str, Any]]:
    delivery = config.get("delivery", {})
    dead_letters = delivery.get("dead_letter_topic")
    retry_policy = {
        "minimum_backoff": _duration(delivery.get("minimum_backoff_seconds", 10)),
        "maximum_backoff": _duration(delivery.get("maximum_backoff_seconds", 600)),
    }
    dead_letter_policy = {
        "dead_letter_topic": _topic(config, str(dead_letters)),
        "max_delivery_attempts": delivery.get("max_delivery_attempts", 5),
    }
    made: list[dict[str, Any]] = []
    fed: set[str] = set()
    for name, function in config.get("functions", {}).items():
        if function["trigger"] != "pubsub":
            continue
        topic = _topic(config, function["topic"])
        fed.add(function["topic"])
        seconds = min(_LONGEST_DEADLINE, max(_SHORTEST_DEADLINE, function.get("timeout_seconds", 60)))
        subscription: dict[str, Any] = {
            "name": _subscription(config, function_subscription(function["topic"])),
            "topic": topic,
            "ack_deadline_seconds": seconds,
            "retry_policy": retry_policy,
        }
        if functions is not None:
            # The topic's name at the end of the path is where functions-framework finds the event's source.
            subscription["push_config"] = {"push_endpoint": f"{functions}/{name}/{topic}"}
        if dead_letters and function["topic"] != dead_letters:
            subscription["dead_letter_policy"] = dead_letter_policy
        made.append(subscription)
    if dead_letters and dead_letters not in fed:
        made.append(
            {
                "name": _subscription(config, f"{dead_letters}-pull"),
                "topic": _topic(config, dead_letters),
                "ack_deadline_seconds": 60,
            }
        )
    if log := config.get("inference_log"):
        subscription = {
            "name": _subscription(config, table_subscription(log["topic"])),
            "topic": _topic(config, log["topic"]),
            "ack_deadline_seconds": 60,
            "retry_policy": retry_policy,
            "bigquery_config": {
                "table": f"{config['project']}.{config['dataset']}.{log['table']}",
                "use_table_schema": True,
                "write_metadata": bool(log.get("write_metadata", False)),
                "drop_unknown_fields": bool(log.get("drop_unknown_fields", False)),
            },
        }
        if dead_letters:
            subscription["dead_letter_policy"] = dead_letter_policy
        made.append(subscription)
    return made


def _create_topic(publisher: PublisherClient, name: str) -> None:
    try:
        publisher.create_topic(name=name)
    except AlreadyExists:
        return


def _create_or_update(subscriber: SubscriberClient, subscription: dict[str, Any]) -> None:
    try:
        subscriber.create_subscription(request=subscription)
    except AlreadyExists:
        subscriber.update_subscription(
            request={"subscription": subscription, "update_mask": field_mask_pb2.FieldMask(paths=_UPDATED)}
        )


def _topic(config: Mapping[str, Any], name: str) -> str:
    return f"projects/{config['project']}/topics/{name}"


def _subscription(config: Mapping[str, Any], name: str) -> str:
    return f"projects/{config['project']}/subscriptions/{name}"


def _duration(seconds: float) -> duration_pb2.Duration:
    duration = duration_pb2.Duration()
    duration.FromNanoseconds(int(seconds * 1e9))
    return duration
