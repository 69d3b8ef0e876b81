"""What only the local Pub/Sub promises: nothing lost at a kill, back-off, flow control, refusals by name, the load it bears."""

import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud import pubsub_v1
from google.protobuf import duration_pb2
from google.pubsub_v1 import PublisherClient

from infra.local.pubsub import PubSubServer
from infra.local.pubsub.broker import Broker
from infra.local.pubsub.resources import PubsubMessage, Subscription, Topic, checked_subscription, checked_topic

TOPIC = "projects/p/topics/topic"
GRAVEYARD = "projects/p/topics/graveyard"
SUBSCRIPTION = "projects/p/subscriptions/sub"


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def broker_with(path: Path, clock: Clock, **settings: Any) -> Broker:
    broker = Broker(path, clock=clock)
    for name in (TOPIC, GRAVEYARD):
        broker.directory.create_topic(checked_topic(Topic(name=name)))
    broker.directory.create_subscription(checked_subscription(Subscription(name=SUBSCRIPTION, topic=TOPIC, **settings)))
    broker.directory.create_subscription(
        checked_subscription(Subscription(name=f"{SUBSCRIPTION}-graves", topic=GRAVEYARD))
    )
    return broker


def message(text: str) -> Any:
    return PubsubMessage(data=text.encode())


def test_back_off_doubles_from_the_minimum_and_stops_at_the_maximum(tmp_path):
    clock = Clock()
    policy = {"minimum_backoff": duration_pb2.Duration(seconds=2), "maximum_backoff": duration_pb2.Duration(seconds=10)}
    broker = broker_with(tmp_path / "db", clock, retry_policy=policy)
    broker.publish(TOPIC, [message("x")])
    waits = []
    for _ in range(5):
        (delivery,) = broker.pull(SUBSCRIPTION, limit=1, wait=0)
        broker.fail(SUBSCRIPTION, [delivery.ack_id], "no")
        failed_at = clock.now
        while not (again := broker.pull(SUBSCRIPTION, limit=1, wait=0)):
            clock.now += 1.0
        waits.append(clock.now - failed_at)
        broker.release(SUBSCRIPTION, [again[0].ack_id])
    assert waits == [2.0, 4.0, 8.0, 10.0, 10.0]  # 2·2⁰, 2·2¹, 2·2², then the maximum


def test_failures_are_counted_over_a_restart_and_a_delivery_cut_short_by_one_is_not(tmp_path):
    clock = Clock()
    policy = {"dead_letter_topic": GRAVEYARD, "max_delivery_attempts": 5}
    broker = broker_with(tmp_path / "db", clock, dead_letter_policy=policy)
    broker.publish(TOPIC, [message("x")])
    for expected in (1, 2, 3, 4, 5):
        (cut_short,) = broker.pull(SUBSCRIPTION, limit=1, wait=0)
        broker.close()
        broker = Broker(tmp_path / "db", clock=clock)
        (delivery,) = broker.pull(SUBSCRIPTION, limit=1, wait=0)
        assert cut_short.attempt == delivery.attempt == expected
        broker.fail(SUBSCRIPTION, [delivery.ack_id], "no")
    assert broker.pull(SUBSCRIPTION, limit=1, wait=0) == []
    (buried,) = broker.pull(f"{SUBSCRIPTION}-graves", limit=1, wait=0)
    assert buried.message.attributes["CloudPubSubDeadLetterSourceDeliveryCount"] == "5"


def test_a_deadline_that_passes_is_a_failed_delivery_and_its_old_ack_id_cannot_nack_the_new_one(tmp_path):
    clock = Clock()
    broker = broker_with(tmp_path / "db", clock)
    broker.publish(TOPIC, [message("x")])
    (first,) = broker.pull(SUBSCRIPTION, limit=1, wait=0)
    clock.now += 10.1
    broker.expire_deadlines()
    (second,) = broker.pull(SUBSCRIPTION, limit=1, wait=0)
    assert (first.attempt, second.attempt) == (1, 2)
    broker.modify_ack_deadline(SUBSCRIPTION, [first.ack_id], 0)
    assert broker.pull(SUBSCRIPTION, limit=1, wait=0) == []
    broker.acknowledge(SUBSCRIPTION, [first.ack_id])  # late, but the work was done
    assert broker.backlog(SUBSCRIPTION) == 0


def test_messages_older_than_the_retention_are_dropped(tmp_path):
    clock = Clock()
    broker = broker_with(tmp_path / "db", clock, message_retention_duration=duration_pb2.Duration(seconds=600))
    broker.publish(TOPIC, [message("old")])
    clock.now += 601
    broker.publish(TOPIC, [message("new")])
    broker.expire_messages()
    assert [d.message.data for d in broker.pull(SUBSCRIPTION, limit=9, wait=0)] == [b"new"]


def test_an_acknowledged_message_leaves_no_trace_in_the_state_file(tmp_path):
    broker = broker_with(tmp_path / "db", Clock())
    for _ in range(3):
        broker.publish(TOPIC, [message("x" * 1000)] * 100)
        broker.acknowledge(SUBSCRIPTION, [d.ack_id for d in broker.pull(SUBSCRIPTION, limit=1000, wait=0)])
    count = "SELECT (SELECT COUNT(*) FROM messages) + (SELECT COUNT(*) FROM deliveries)"
    assert broker._store._database.execute(count).fetchone() == (0,)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("filter", 'attributes.stage = "train"'),
        ("enable_message_ordering", True),
        ("enable_exactly_once_delivery", True),
        ("cloud_storage_config", {"bucket": "b"}),
        ("push_config", {"push_endpoint": "http://127.0.0.1:1/", "no_wrapper": {"write_metadata": True}}),
    ],
)
def test_what_is_not_supported_is_refused_by_name(local, setting, value):
    topic = local.topic()
    named = "no_wrapper" if setting == "push_config" else setting
    with pytest.raises(exceptions.MethodNotImplemented, match=named):
        local.subscription(topic, **{setting: value})
    with pytest.raises(exceptions.MethodNotImplemented, match="CreateSnapshot"):
        local.subscriber.create_snapshot(name="projects/contract/snapshots/s", subscription="x", timeout=5)


def test_an_ack_deadline_below_ten_seconds_is_refused(local):
    with pytest.raises(exceptions.InvalidArgument, match="between 10 and 600"):
        local.subscription(local.topic(), ack_deadline_seconds=5)


def test_a_streaming_subscriber_holds_no_more_than_it_asked_for(local):
    topic = local.topic()
    subscription = local.subscription(topic)
    local.publish(topic, *[str(n) for n in range(20)])
    held: list[Any] = []
    flow = pubsub_v1.types.FlowControl(max_messages=4)
    stream = local.subscriber.subscribe(subscription, held.append, flow_control=flow)
    time.sleep(1.0)
    assert len(held) == 4
    seen = set()
    end = time.monotonic() + 15
    while len(seen) < 20 and time.monotonic() < end:
        while held:
            taken = held.pop()
            seen.add(taken.data)
            taken.ack()
        time.sleep(0.02)
    stream.cancel()
    stream.result(10)
    assert len(seen) == 20


def test_a_second_server_on_the_same_port_is_refused(server, tmp_path):
    port = int(server.endpoint.rsplit(":", 1)[1])
    with pytest.raises(OSError, match="in use"):
        PubSubServer(tmp_path / "other", port=port).start()


def test_topics_subscriptions_and_messages_survive_a_restart(tmp_path, connected):
    server = PubSubServer(tmp_path)
    server.start()
    before = connected(server.endpoint)
    topic = before.topic()
    subscription = before.subscription(topic, labels={"a": "b"})
    before.publish(topic, "done", "leased", "waiting")
    received = {r.message.data: r for r in before.pull(subscription, at_least=3)}
    before.ack(subscription, [received[b"done"]])
    before.nack(subscription, [received[b"waiting"]])
    server.stop()
    server.stop()
    server = PubSubServer(tmp_path)
    server.start()
    after = connected(server.endpoint)
    assert after.subscriber.get_subscription(subscription=subscription).labels == {"a": "b"}
    assert {r.message.data for r in after.pull(subscription, at_least=2)} == {b"leased", b"waiting"}
    server.stop()


CHILD = """
import sys, time, pathlib
from infra.local.pubsub import PubSubServer
server = PubSubServer(pathlib.Path(sys.argv[1]))
server.start()
print(server.endpoint, flush=True)
time.sleep(600)
"""


@pytest.fixture
def start_child(tmp_path: Path) -> Iterator[Callable[[], tuple[subprocess.Popen[str], str]]]:
    children: list[subprocess.Popen[str]] = []

    def start() -> tuple[subprocess.Popen[str], str]:
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path / "state")],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[5],
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[5])},
        )
        children.append(child)
        assert child.stdout is not None
        return child, child.stdout.readline().strip()

    yield start
    for child in children:
        child.kill()
        child.wait()
        assert child.stdout is not None
        child.stdout.close()


def test_a_kill_between_publish_and_delivery_loses_nothing_that_was_answered(start_child, connected):
    child, endpoint = start_child()
    client = connected(endpoint)
    topic = client.topic()
    subscription = client.subscription(topic)
    answered: list[str] = []
    acknowledged: set[str] = set()
    failed = threading.Event()

    def publish() -> None:
        for number in range(100_000):
            try:
                future = client.publisher.publish(topic, str(number).encode(), retry=None, timeout=2)
                answered.append(future.result(2))
            except Exception:  # noqa: BLE001 - whatever the client makes of a killed server
                failed.set()
                return

    publisher = threading.Thread(target=publish)
    publisher.start()
    while len(answered) < 30:
        time.sleep(0.01)
    for received in client.pull(subscription, at_least=10):
        client.ack(subscription, [received])
        acknowledged.add(received.message.message_id)
        if len(acknowledged) == 10:
            break
    os.kill(child.pid, signal.SIGKILL)
    publisher.join(15)
    assert failed.is_set()

    _, endpoint = start_child()
    again = connected(endpoint)
    expected = set(answered) - acknowledged
    seen: set[str] = set()
    end = time.monotonic() + 10
    while not expected <= seen and time.monotonic() < end:
        seen |= {r.message.message_id for r in again.pull(subscription)}
    assert expected <= seen
    assert not acknowledged & seen


def push_endpoint(note: Callable[[Message, dict[str, Any]], None]) -> tuple[ThreadingHTTPServer, str]:
    """An endpoint that acknowledges everything, after `note(headers, body)`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            note(self.headers, json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    endpoint = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=endpoint.serve_forever, daemon=True).start()
    return endpoint, f"http://127.0.0.1:{endpoint.server_port}/"


def counting_endpoint(got: Counter[str]) -> tuple[ThreadingHTTPServer, str]:
    lock = threading.Lock()

    def note(_: Message, body: dict[str, Any]) -> None:
        with lock:
            got[body["message"]["messageId"]] += 1

    return push_endpoint(note)


def test_a_burst_of_two_thousand_messages_is_pushed_once_each(server, local):
    got: Counter[str] = Counter()
    endpoint, url = counting_endpoint(got)
    topic = local.topic()
    subscription = local.subscription(topic, push_config={"push_endpoint": url})
    ids = local.publish(topic, *[str(n) for n in range(2000)])
    end = time.monotonic() + 30
    while (len(got) < 2000 or server.broker.backlog(subscription)) and time.monotonic() < end:
        time.sleep(0.02)
    endpoint.shutdown()
    endpoint.server_close()
    assert server.broker.backlog(subscription) == 0
    assert got == Counter(ids)


@pytest.mark.slow
def test_two_hundred_messages_a_second_for_a_minute_are_all_pushed_and_memory_stays_flat(server, local):
    got: Counter[str] = Counter()
    endpoint, url = counting_endpoint(got)
    topic = local.topic()
    subscription = local.subscription(topic, push_config={"push_endpoint": url})
    publisher = PublisherClient(transport=local.publisher.transport)  # without the batching of the other
    ids: list[str] = []
    started = time.monotonic()
    for number in range(60 * 200):
        time.sleep(max(0.0, started + number / 200 - time.monotonic()))
        message = {"data": b"x" * 500}
        ids += publisher.publish(topic=topic, messages=[message]).message_ids
        if number == 10 * 200:
            peak_after_warm_up = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = time.monotonic() - started
    end = time.monotonic() + 10
    while server.broker.backlog(subscription) and time.monotonic() < end:
        time.sleep(0.05)
    endpoint.shutdown()
    endpoint.server_close()
    assert seconds < 66, "the publisher was held up"
    assert got == Counter(ids)
    unit = 1 if sys.platform == "darwin" else 1024  # macOS tells bytes, Linux kibibytes
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak_after_warm_up) * unit
    assert grown < 20 * 2**20


def test_an_oidc_push_carries_the_token_that_the_identity_gives(tmp_path, connected):
    tokens: list[str | None] = []
    endpoint, url = push_endpoint(lambda headers, _: tokens.append(headers["Authorization"]))
    server = PubSubServer(tmp_path, identity_token=lambda email, audience: f"{email} for {audience}")
    server.start()
    client = connected(server.endpoint)
    topic = client.topic()
    client.subscription(topic, push_config={"push_endpoint": url, "oidc_token": {"service_account_email": "me@p"}})
    client.publish(topic, "x")
    end = time.monotonic() + 10
    while not tokens and time.monotonic() < end:
        time.sleep(0.02)
    server.stop()
    endpoint.shutdown()
    endpoint.server_close()
    assert tokens == [f"Bearer me@p for {url}"]
