"""google.pubsub.v1 on the wire: Publisher and Subscriber as Google's own clients speak them, minus what is refused.

Decodes, asks the broker, encodes. The message types are those of google-cloud-pubsub; a method that is not here is
answered UNIMPLEMENTED by name.
"""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import grpc
from google.protobuf import empty_pb2
from google.pubsub_v1 import types

from infra.local.pubsub.broker import Broker
from infra.local.pubsub.errors import PubSubError, invalid, unsupported
from infra.local.pubsub.resources import (
    MUTABLE_SUBSCRIPTION_FIELDS,
    MUTABLE_TOPIC_FIELDS,
    Subscription,
    Topic,
    checked_subscription,
    checked_topic,
)
from infra.local.pubsub.streaming_pull import received_message, streaming_pull

_log = logging.getLogger(__name__)
_REFUSED = {
    "google.pubsub.v1.Publisher": ["ListTopicSnapshots", "DetachSubscription"],
    "google.pubsub.v1.Subscriber": [
        "GetSnapshot",
        "ListSnapshots",
        "CreateSnapshot",
        "UpdateSnapshot",
        "DeleteSnapshot",
    ],
}
# How long an empty pull waits for a message; the client's own deadline may be shorter.
_PULL_WAIT = 5.0


def grpc_services(broker: Broker) -> list[Any]:
    """The generic handlers of both services, to be added to a gRPC server."""
    publisher = {
        "CreateTopic": _unary(types.Topic, lambda r, _: broker.directory.create_topic(checked_topic(r))),
        "UpdateTopic": _unary(types.UpdateTopicRequest, lambda r, _: _update_topic(broker, r)),
        "GetTopic": _unary(types.GetTopicRequest, lambda r, _: broker.directory.topic(r.topic)),
        "DeleteTopic": _unary(types.DeleteTopicRequest, lambda r, _: broker.directory.delete_topic(r.topic)),
        "ListTopics": _unary(types.ListTopicsRequest, lambda r, _: _list_topics(broker, r)),
        "ListTopicSubscriptions": _unary(
            types.ListTopicSubscriptionsRequest, lambda r, _: _list_topic_subscriptions(broker, r)
        ),
        "Publish": _unary(types.PublishRequest, lambda r, _: _publish(broker, r)),
    }
    subscriber = {
        "CreateSubscription": _unary(
            types.Subscription, lambda r, _: broker.directory.create_subscription(checked_subscription(r))
        ),
        "UpdateSubscription": _unary(types.UpdateSubscriptionRequest, lambda r, _: _update_subscription(broker, r)),
        "GetSubscription": _unary(
            types.GetSubscriptionRequest, lambda r, _: broker.directory.subscription(r.subscription)
        ),
        "DeleteSubscription": _unary(
            types.DeleteSubscriptionRequest, lambda r, _: broker.directory.delete_subscription(r.subscription)
        ),
        "ListSubscriptions": _unary(types.ListSubscriptionsRequest, lambda r, _: _list_subscriptions(broker, r)),
        "Acknowledge": _unary(types.AcknowledgeRequest, lambda r, _: broker.acknowledge(r.subscription, r.ack_ids)),
        "ModifyAckDeadline": _unary(types.ModifyAckDeadlineRequest, lambda r, _: _modify_ack_deadline(broker, r)),
        "ModifyPushConfig": _unary(types.ModifyPushConfigRequest, lambda r, _: _modify_push_config(broker, r)),
        "Pull": _unary(types.PullRequest, lambda r, context: _pull(broker, r, context)),
        "Seek": _unary(types.SeekRequest, lambda r, _: _seek(broker, r)),
        "StreamingPull": grpc.stream_stream_rpc_method_handler(
            lambda requests, context: _answer_stream(streaming_pull(broker, requests, context), context),
            request_deserializer=types.StreamingPullRequest.pb().FromString,
            response_serializer=types.StreamingPullResponse.pb().SerializeToString,
        ),
    }
    services = {"google.pubsub.v1.Publisher": publisher, "google.pubsub.v1.Subscriber": subscriber}
    for service, methods in _REFUSED.items():
        for method in methods:
            services[service][method] = _refusal(method)
    return [grpc.method_handlers_generic_handler(name, methods) for name, methods in services.items()]


def _unary(request_type: Any, answer: Callable[[Any, Any], Any]) -> Any:
    def handle(request: Any, context: Any) -> Any:
        try:
            response = answer(request, context)
        except PubSubError as error:
            context.abort(error.code, error.message)
        except Exception as error:  # noqa: BLE001 - the edge: every fault of ours is INTERNAL to the client
            if context.is_active():
                _log.exception("The local Pub/Sub failed at a %s", request_type.__name__)
            context.abort(grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}")
        return empty_pb2.Empty() if response is None else response

    return grpc.unary_unary_rpc_method_handler(
        handle,
        request_deserializer=request_type.pb().FromString,
        response_serializer=lambda response: response.SerializeToString(),
    )


def _answer_stream(responses: Iterator[Any], context: Any) -> Iterator[Any]:
    try:
        yield from responses
    except PubSubError as error:
        context.abort(error.code, error.message)


def _refusal(method: str) -> Any:
    def handle(_request: Any, context: Any) -> None:
        error = unsupported(method)
        context.abort(error.code, error.message)

    return grpc.unary_unary_rpc_method_handler(handle)


def _publish(broker: Broker, request: Any) -> Any:
    return types.PublishResponse.pb()(message_ids=broker.publish(request.topic, request.messages))


def _pull(broker: Broker, request: Any, context: Any) -> Any:
    if request.max_messages <= 0:
        raise invalid("max_messages must be positive.")
    remaining = context.time_remaining()
    # A little before the client gives up, so that it gets an empty answer and not an error.
    wait = 0.0 if request.return_immediately else min(_PULL_WAIT, max(0.0, (remaining or _PULL_WAIT + 1) - 0.5))
    deliveries = broker.pull(
        request.subscription,
        limit=min(request.max_messages, 1000),
        wait=wait,
        max_bytes=10_000_000,
        alive=context.is_active,
    )
    definition = broker.directory.subscription(request.subscription)
    return types.PullResponse.pb()(
        received_messages=[received_message(definition, delivery) for delivery in deliveries]
    )


def _modify_ack_deadline(broker: Broker, request: Any) -> None:
    if not 0 <= request.ack_deadline_seconds <= 600:
        raise invalid("ack_deadline_seconds must be between 0 and 600.")
    broker.modify_ack_deadline(request.subscription, request.ack_ids, request.ack_deadline_seconds)


def _seek(broker: Broker, request: Any) -> Any:
    if not request.HasField("time"):
        raise unsupported("Seek to a snapshot")
    broker.seek(request.subscription, request.time.ToNanoseconds() / 1e9)
    return types.SeekResponse.pb()()


def _modify_push_config(broker: Broker, request: Any) -> None:
    changed = Subscription()
    changed.CopyFrom(broker.directory.subscription(request.subscription))
    changed.push_config.CopyFrom(request.push_config)
    broker.directory.update_subscription(checked_subscription(changed))


def _update_topic(broker: Broker, request: Any) -> Any:
    changed = Topic()
    changed.CopyFrom(broker.directory.topic(request.topic.name))
    _merge(changed, request.topic, request.update_mask.paths, MUTABLE_TOPIC_FIELDS)
    return broker.directory.update_topic(checked_topic(changed))


def _update_subscription(broker: Broker, request: Any) -> Any:
    changed = Subscription()
    changed.CopyFrom(broker.directory.subscription(request.subscription.name))
    _merge(changed, request.subscription, request.update_mask.paths, MUTABLE_SUBSCRIPTION_FIELDS)
    return broker.directory.update_subscription(checked_subscription(changed))


def _merge(target: Any, source: Any, paths: list[str], mutable: set[str]) -> None:
    if not paths:
        raise invalid("The update_mask in the request must be set and not be empty.")
    for path in paths:
        if path not in mutable:
            raise invalid(f"Invalid update_mask provided in the request: {path!r} is not known or cannot be changed.")
        target.ClearField(path)
        single = type(source)()
        single.CopyFrom(source)
        for descriptor, _ in source.ListFields():
            if descriptor.name != path:
                single.ClearField(descriptor.name)
        target.MergeFrom(single)


def _list_topics(broker: Broker, request: Any) -> Any:
    page, token = _page(broker.directory.topics(request.project), request)
    return types.ListTopicsResponse.pb()(topics=page, next_page_token=token)


def _list_subscriptions(broker: Broker, request: Any) -> Any:
    page, token = _page(broker.directory.subscriptions(project=request.project), request)
    return types.ListSubscriptionsResponse.pb()(subscriptions=page, next_page_token=token)


def _list_topic_subscriptions(broker: Broker, request: Any) -> Any:
    broker.directory.topic(request.topic)
    page, token = _page([s.name for s in broker.directory.subscriptions(topic=request.topic)], request)
    return types.ListTopicSubscriptionsResponse.pb()(subscriptions=page, next_page_token=token)


def _page(items: list[Any], request: Any) -> tuple[list[Any], str]:
    try:
        start = int(request.page_token or 0)
    except ValueError:
        raise invalid("The page token is not one of ours.") from None
    end = start + (request.page_size or 1000)
    return items[start:end], str(end) if end < len(items) else ""
