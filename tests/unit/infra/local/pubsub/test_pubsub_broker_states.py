"""No sequence of publishing, delivering, failing and restarting loses a message, or delivers one that was acknowledged."""

import shutil
import tempfile
from pathlib import Path

from google.protobuf import duration_pb2
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from infra.local.pubsub.broker import Broker, Delivery
from infra.local.pubsub.resources import PubsubMessage, Subscription, Topic, checked_subscription, checked_topic

TOPIC, GRAVEYARD = "projects/p/topics/topic", "projects/p/topics/graveyard"
SUBSCRIPTION, GRAVES = "projects/p/subscriptions/sub", "projects/p/subscriptions/graves"
ATTEMPTS = 5


class Deliveries(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.now = 1000.0
        self.broker = self.open()
        for topic in (TOPIC, GRAVEYARD):
            self.broker.directory.create_topic(checked_topic(Topic(name=topic)))
        policy = {"dead_letter_topic": GRAVEYARD, "max_delivery_attempts": ATTEMPTS}
        backoff = {
            "minimum_backoff": duration_pb2.Duration(seconds=1),
            "maximum_backoff": duration_pb2.Duration(seconds=4),
        }
        for request in (
            Subscription(name=SUBSCRIPTION, topic=TOPIC, dead_letter_policy=policy, retry_policy=backoff),
            Subscription(name=GRAVES, topic=GRAVEYARD),
        ):
            self.broker.directory.create_subscription(checked_subscription(request))
        self.published: dict[str, int] = {}  # failures, by text
        self.settled: set[str] = set()
        self.handed: list[Delivery] = []  # every delivery there was, to settle it late or twice
        self.held: dict[str, tuple[str, float]] = {}  # ack ID and deadline, by text

    def open(self) -> Broker:
        return Broker(self.folder / "state", clock=lambda: self.now)

    def teardown(self) -> None:
        self.broker.close()
        shutil.rmtree(self.folder)

    def failed(self, text: str) -> None:
        del self.held[text]
        self.published[text] += 1

    @rule(count=st.integers(1, 3))
    def publish(self, count: int) -> None:
        texts = [f"m{len(self.published) + n}" for n in range(count)]
        self.broker.publish(TOPIC, [PubsubMessage(data=text.encode()) for text in texts])
        self.published |= dict.fromkeys(texts, 0)

    @rule(limit=st.integers(1, 5))
    def pull(self, limit: int) -> None:
        for delivery in self.broker.pull(SUBSCRIPTION, limit=limit, wait=0):
            text = delivery.message.data.decode()
            assert text not in self.settled, "delivered after it was acknowledged"
            assert text not in self.held, "delivered while it was out"
            assert delivery.attempt == self.published[text] + 1
            self.held[text] = (delivery.ack_id, self.now + 10)
            self.handed.append(delivery)

    @precondition(lambda self: self.handed)
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        delivery = data.draw(st.sampled_from(self.handed))
        text = delivery.message.data.decode()
        self.broker.acknowledge(SUBSCRIPTION, [delivery.ack_id])
        if self.published[text] < ATTEMPTS:
            self.held.pop(text, None)
            self.settled.add(text)

    @precondition(lambda self: self.handed)
    @rule(data=st.data(), seconds=st.sampled_from([0, 0, 30]))
    def modify(self, data: st.DataObject, seconds: int) -> None:
        delivery = data.draw(st.sampled_from(self.handed))
        text = delivery.message.data.decode()
        self.broker.modify_ack_deadline(SUBSCRIPTION, [delivery.ack_id], seconds)
        if self.held.get(text, ("", 0))[0] != delivery.ack_id:
            return  # of an earlier delivery: without effect
        if seconds:
            self.held[text] = (delivery.ack_id, self.now + seconds)
        else:
            self.failed(text)

    @rule(rounds=st.integers(1, ATTEMPTS + 1))
    def fail_all(self, rounds: int) -> None:
        for _ in range(rounds):
            self.wait(5)  # past the longest back-off
            self.pull(5)
            for text, (ack_id, _) in list(self.held.items()):
                self.broker.fail(SUBSCRIPTION, [ack_id], "no")
                self.failed(text)

    @rule(seconds=st.integers(1, 12))
    def wait(self, seconds: int) -> None:
        self.now += seconds
        self.broker.expire_deadlines()
        for text in [text for text, (_, deadline) in self.held.items() if deadline <= self.now]:
            self.failed(text)

    @rule()
    def restart(self) -> None:
        self.broker.close()
        self.broker = self.open()
        self.held.clear()

    @invariant()
    def every_message_waits_is_settled_or_lies_in_the_graveyard(self) -> None:
        dead = {text for text, failures in self.published.items() if failures >= ATTEMPTS}
        assert self.broker.backlog(SUBSCRIPTION) == len(self.published) - len(self.settled) - len(dead)
        assert self.broker.backlog(GRAVES) == len(dead)


TestDeliveries = Deliveries.TestCase
TestDeliveries.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
