"""One contract, two backends: the local Pub/Sub always, Google's own emulator where gcloud has it installed."""

import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.api_core.exceptions import DeadlineExceeded
from google.cloud import pubsub_v1

from infra.local.pubsub import PubSubServer

PROJECT = "contract"


@dataclass
class PubSub:
    """The real clients of one backend, and the short cuts that every test takes."""

    endpoint: str
    publisher: pubsub_v1.PublisherClient
    subscriber: pubsub_v1.SubscriberClient

    def topic(self, prefix: str = "topic") -> str:
        return self.publisher.create_topic(name=f"projects/{PROJECT}/topics/{prefix}-{uuid.uuid4().hex[:8]}").name

    def subscription(self, topic: str, **settings: Any) -> str:
        name = f"projects/{PROJECT}/subscriptions/sub-{uuid.uuid4().hex[:8]}"
        return self.subscriber.create_subscription(request={"name": name, "topic": topic, **settings}).name

    def publish(self, topic: str, *texts: str, **attributes: str) -> list[str]:
        futures = [self.publisher.publish(topic, text.encode(), **attributes) for text in texts]
        return [future.result(20) for future in futures]

    def pull(self, subscription: str, *, at_least: int = 1, seconds: float = 8.0) -> list[Any]:
        """Received messages until there are `at_least` so many, or the time is over."""
        received: list[Any] = []
        end = time.monotonic() + seconds
        while len(received) < at_least and time.monotonic() < end:
            try:
                answer = self.subscriber.pull(
                    subscription=subscription,
                    max_messages=1000,
                    retry=None,
                    timeout=max(0.2, min(2.0, end - time.monotonic())),
                )
                received += answer.received_messages
            except DeadlineExceeded:
                pass
        return received

    def ack(self, subscription: str, received: list[Any]) -> None:
        self.subscriber.acknowledge(subscription=subscription, ack_ids=[r.ack_id for r in received])

    def nack(self, subscription: str, received: list[Any]) -> None:
        self.subscriber.modify_ack_deadline(
            subscription=subscription, ack_ids=[r.ack_id for r in received], ack_deadline_seconds=0
        )


def connect(endpoint: str) -> PubSub:
    from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
    from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

    return PubSub(
        endpoint,
        pubsub_v1.PublisherClient(transport=PublisherGrpcTransport(channel=grpc.insecure_channel(endpoint))),
        pubsub_v1.SubscriberClient(transport=SubscriberGrpcTransport(channel=grpc.insecure_channel(endpoint))),
    )


@pytest.fixture
def connected() -> Iterator[Callable[[str], PubSub]]:
    clients: list[PubSub] = []

    def open_clients(endpoint: str) -> PubSub:
        clients.append(connect(endpoint))
        return clients[-1]

    yield open_clients
    for client in clients:
        client.publisher.stop()
        client.publisher.transport.close()
        client.subscriber.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PubSubServer]:
    server = PubSubServer(tmp_path / "state")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def local(server: PubSubServer, connected: Callable[[str], PubSub]) -> PubSub:
    return connected(server.endpoint)


@pytest.fixture(scope="session")
def google_emulator() -> Iterator[str]:
    gcloud = shutil.which("gcloud")
    launcher = gcloud and Path(gcloud).resolve().parent.parent / "platform/pubsub-emulator/bin/cloud-pubsub-emulator"
    if not launcher or not launcher.exists() or not shutil.which("java"):
        pytest.skip("Google's Pub/Sub emulator is not installed: gcloud components install pubsub-emulator")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [str(launcher), "--host=127.0.0.1", f"--port={port}"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout is not None
    for line in process.stdout:
        if b"listening on" in line:
            break
    yield f"127.0.0.1:{port}"
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.fixture(params=["local", pytest.param("google", marks=pytest.mark.peer)])
def pubsub(request: pytest.FixtureRequest, connected: Callable[[str], PubSub]) -> PubSub:
    if request.param == "local":
        return connected(request.getfixturevalue("server").endpoint)
    return connected(request.getfixturevalue("google_emulator"))
