"""What bqloop relies on in Pub/Sub, asked of the local one and of Google's own emulator alike."""

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from google.api_core import exceptions
from google.protobuf import duration_pb2, field_mask_pb2

BRIEF = {
    "minimum_backoff": duration_pb2.Duration(nanos=100_000_000),
    "maximum_backoff": duration_pb2.Duration(seconds=1),
}


class Endpoint(ThreadingHTTPServer):
    """A push endpoint that keeps what it gets and answers with the next status of `answers`, then with 204."""

    daemon_threads = True

    def __init__(self) -> None:
        self.requests: list[tuple[float, dict[str, Any], dict[str, str]]] = []
        self.answers: list[int] = []
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                endpoint.requests.append((time.monotonic(), body, dict(self.headers)))
                self.send_response(endpoint.answers.pop(0) if endpoint.answers else 204)
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/stage/projects/contract/topics/t"

    def wait_for(self, count: int, seconds: float = 15.0) -> list[dict[str, Any]]:
        end = time.monotonic() + seconds
        while len(self.requests) < count and time.monotonic() < end:
            time.sleep(0.02)
        return [body for _, body, _ in self.requests]


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    server = Endpoint()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_a_published_message_reaches_every_subscription_with_its_data_attributes_and_id(pubsub):
    topic = pubsub.topic()
    first, second = pubsub.subscription(topic), pubsub.subscription(topic)
    (message_id,) = pubsub.publish(topic, "hello", stage="check")
    for subscription in (first, second):
        (received,) = pubsub.pull(subscription)
        assert received.message.data == b"hello"
        assert dict(received.message.attributes) == {"stage": "check"}
        assert received.message.message_id == message_id
        assert abs(received.message.publish_time.timestamp() - time.time()) < 60


def test_what_was_published_before_the_subscription_is_not_delivered(pubsub):
    topic = pubsub.topic()
    pubsub.publish(topic, "early")
    subscription = pubsub.subscription(topic)
    pubsub.publish(topic, "late")
    assert [r.message.data for r in pubsub.pull(subscription)] == [b"late"]


def test_an_acknowledged_message_does_not_come_again_and_a_nacked_one_does(pubsub):
    topic = pubsub.topic()
    subscription = pubsub.subscription(topic)
    pubsub.publish(topic, "a", "b")
    received = pubsub.pull(subscription, at_least=2)
    by_data = {r.message.data: r for r in received}
    pubsub.ack(subscription, [by_data[b"a"]])
    pubsub.nack(subscription, [by_data[b"b"]])
    assert [r.message.data for r in pubsub.pull(subscription)] == [b"b"]


def test_a_message_comes_again_when_its_ack_deadline_passes(pubsub):
    topic = pubsub.topic()
    subscription = pubsub.subscription(topic)
    pubsub.publish(topic, "slow")
    (received,) = pubsub.pull(subscription)
    pubsub.subscriber.modify_ack_deadline(subscription=subscription, ack_ids=[received.ack_id], ack_deadline_seconds=1)
    started = time.monotonic()
    assert [r.message.data for r in pubsub.pull(subscription)] == [b"slow"]
    assert time.monotonic() - started > 0.5


def test_an_extended_deadline_keeps_the_message_with_its_subscriber(pubsub):
    topic = pubsub.topic()
    subscription = pubsub.subscription(topic)
    pubsub.publish(topic, "long")
    (received,) = pubsub.pull(subscription)
    for seconds in (1, 60):
        pubsub.subscriber.modify_ack_deadline(
            subscription=subscription, ack_ids=[received.ack_id], ack_deadline_seconds=seconds
        )
    assert pubsub.pull(subscription, seconds=2.0) == []


def test_streaming_pull_delivers_and_acknowledges(pubsub):
    topic = pubsub.topic()
    subscription = pubsub.subscription(topic)
    got: list[bytes] = []
    done = threading.Event()

    def callback(message: Any) -> None:
        got.append(message.data)
        message.ack()
        if len(got) == 50:
            done.set()

    stream = pubsub.subscriber.subscribe(subscription, callback)
    pubsub.publish(topic, *[str(n) for n in range(50)])
    assert done.wait(15)
    time.sleep(0.5)  # acknowledgements leave the client in batches
    stream.cancel()
    stream.result(10)
    assert sorted(got) == sorted(str(n).encode() for n in range(50))
    assert pubsub.pull(subscription, seconds=1.0) == []


def test_a_streaming_subscriber_that_nacks_gets_the_message_again(pubsub):
    topic = pubsub.topic()
    subscription = pubsub.subscription(topic)
    seen: list[str] = []
    done = threading.Event()

    def callback(message: Any) -> None:
        seen.append(message.message_id)
        if len(seen) < 3:
            message.nack()
            return
        message.ack()
        done.set()

    stream = pubsub.subscriber.subscribe(subscription, callback)
    pubsub.publish(topic, "again")
    assert done.wait(15)
    stream.cancel()
    assert len(set(seen)) == 1


def test_a_push_endpoint_gets_the_message_in_the_wrapper_and_its_204_acknowledges(pubsub, endpoint):
    topic = pubsub.topic()
    subscription = pubsub.subscription(topic, push_config={"push_endpoint": endpoint.url})
    (message_id,) = pubsub.publish(topic, "hi", stage="train")
    (body,) = endpoint.wait_for(1)
    assert body["subscription"] == subscription
    assert body["message"]["data"] == "aGk="
    assert body["message"]["attributes"]["stage"] == "train"
    assert body["message"]["messageId"] == body["message"]["message_id"] == message_id
    time.sleep(1.0)
    assert len(endpoint.requests) == 1


def test_a_push_that_fails_is_pushed_again(pubsub, endpoint):
    endpoint.answers = [500, 429]
    topic = pubsub.topic()
    pubsub.subscription(topic, push_config={"push_endpoint": endpoint.url}, retry_policy=BRIEF)
    pubsub.publish(topic, "retry me")
    bodies = endpoint.wait_for(3)
    assert len(bodies) == 3
    assert len({body["message"]["messageId"] for body in bodies}) == 1


def test_a_subscription_turned_from_push_to_pull_can_be_pulled(pubsub, endpoint):
    topic = pubsub.topic()
    subscription = pubsub.subscription(topic, push_config={"push_endpoint": endpoint.url})
    pubsub.subscriber.modify_push_config(subscription=subscription, push_config={})
    pubsub.publish(topic, "pull me")
    assert [r.message.data for r in pubsub.pull(subscription)] == [b"pull me"]
    assert endpoint.requests == []


def test_a_message_that_fails_too_often_goes_to_the_dead_letter_topic_and_says_where_it_came_from(pubsub):
    topic, graveyard = pubsub.topic(), pubsub.topic("dead")
    graves = pubsub.subscription(graveyard)
    subscription = pubsub.subscription(
        topic,
        dead_letter_policy={"dead_letter_topic": graveyard, "max_delivery_attempts": 5},
        retry_policy=BRIEF,
    )
    pubsub.publish(topic, "poison", stage="train")
    attempts = []
    for _ in range(5):
        (received,) = pubsub.pull(subscription)
        attempts.append(received.delivery_attempt)
        pubsub.nack(subscription, [received])
    assert attempts == [1, 2, 3, 4, 5]
    # Before the graveyard is looked at: Google's emulator buries a message only when somebody asks for it once more.
    assert pubsub.pull(subscription, seconds=2.5) == []
    (buried,) = pubsub.pull(graves)
    assert buried.message.data == b"poison"
    attributes = dict(buried.message.attributes)
    assert attributes["stage"] == "train"
    assert attributes["CloudPubSubDeadLetterSourceDeliveryCount"] == "5"
    assert attributes["CloudPubSubDeadLetterSourceSubscription"] == subscription.rsplit("/", 1)[1]
    assert attributes["CloudPubSubDeadLetterSourceSubscriptionProject"] == "contract"


def test_seek_to_now_drops_the_backlog(pubsub):
    topic = pubsub.topic()
    subscription = pubsub.subscription(topic)
    pubsub.publish(topic, "old", "older")
    time.sleep(0.3)
    pubsub.subscriber.seek(request={"subscription": subscription, "time": datetime.now(UTC)})
    pubsub.publish(topic, "new")
    assert [r.message.data for r in pubsub.pull(subscription)] == [b"new"]


def test_seek_back_delivers_retained_messages_again(pubsub):
    topic = pubsub.topic()
    subscription = pubsub.subscription(topic, retain_acked_messages=True)
    pubsub.publish(topic, "kept")
    pubsub.ack(subscription, pubsub.pull(subscription))
    pubsub.subscriber.seek(request={"subscription": subscription, "time": datetime.now(UTC) - timedelta(minutes=5)})
    assert [r.message.data for r in pubsub.pull(subscription)] == [b"kept"]


def test_topics_and_subscriptions_are_listed_and_deleted(pubsub):
    topic = pubsub.topic()
    subscription = pubsub.subscription(topic)
    assert topic in {t.name for t in pubsub.publisher.list_topics(project="projects/contract")}
    assert subscription in {s.name for s in pubsub.subscriber.list_subscriptions(project="projects/contract")}
    assert list(pubsub.publisher.list_topic_subscriptions(topic=topic)) == [subscription]
    pubsub.publisher.delete_topic(topic=topic)
    assert pubsub.subscriber.get_subscription(subscription=subscription).topic == "_deleted-topic_"
    pubsub.subscriber.delete_subscription(subscription=subscription)
    with pytest.raises(exceptions.NotFound):
        pubsub.subscriber.get_subscription(subscription=subscription)
    with pytest.raises(exceptions.NotFound):
        pubsub.publisher.get_topic(topic=topic)


def test_an_update_changes_what_its_mask_names_and_nothing_else(pubsub):
    topic = pubsub.topic()
    subscription = pubsub.subscription(topic, ack_deadline_seconds=20)
    pubsub.subscriber.update_subscription(
        subscription={"name": subscription, "topic": topic, "ack_deadline_seconds": 60, "labels": {"not": "asked"}},
        update_mask=field_mask_pb2.FieldMask(paths=["ack_deadline_seconds"]),
    )
    changed = pubsub.subscriber.get_subscription(subscription=subscription)
    assert changed.ack_deadline_seconds == 60
    assert dict(changed.labels) == {}


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda p, t, s: p.publisher.create_topic(name=t), exceptions.AlreadyExists),
        (lambda p, t, s: p.subscriber.create_subscription(name=s, topic=t), exceptions.AlreadyExists),
        (lambda p, t, s: p.publisher.get_topic(topic=f"{t}-not"), exceptions.NotFound),
        (lambda p, t, s: p.publisher.publish(f"{t}-not", b"x").result(10), exceptions.NotFound),
        (lambda p, t, s: p.subscriber.create_subscription(name=f"{s}x", topic=f"{t}-not"), exceptions.NotFound),
        (lambda p, t, s: p.subscriber.pull(subscription=f"{s}-not", max_messages=1), exceptions.NotFound),
        (lambda p, t, s: p.publisher.create_topic(name="projects/contract/topics/1"), exceptions.InvalidArgument),
        (lambda p, t, s: p.publisher.publish(t, b"").result(10), exceptions.InvalidArgument),
        (
            lambda p, t, s: p.subscription(t, dead_letter_policy={"dead_letter_topic": t, "max_delivery_attempts": 2}),
            exceptions.BadRequest,
        ),
    ],
    ids=[
        "same topic twice",
        "same subscription twice",
        "no such topic",
        "publish to no topic",
        "subscribe to no topic",
        "pull from no subscription",
        "bad name",
        "empty message",
        "too few delivery attempts",
    ],
)
def test_a_wrong_request_is_refused_with_googles_error(pubsub, call, error):
    topic = pubsub.topic()
    subscription = pubsub.subscription(topic)
    with pytest.raises(error):
        call(pubsub, topic, subscription)
