"""No answer leaves unlogged: Pub/Sub confirms, or the disk keeps, or the request fails."""

import json
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from google.cloud.pubsub_v1 import PublisherClient, SubscriberClient

from etl.errors import UnavailableError
from etl.settings import Settings, load_settings
from functions.service.inference_log import InferenceLog, _batches
from infra.local.pubsub import PubSubServer


@pytest.fixture
def pubsub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[PubSubServer, Settings]]:
    server = PubSubServer(tmp_path / "pubsub")
    server.start()
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", server.endpoint)
    settings = load_settings("local")
    topic = settings.topic_path(settings.inference_log.topic)
    PublisherClient().create_topic(name=topic)
    SubscriberClient().create_subscription(
        name=f"projects/{settings.project}/subscriptions/all", topic=topic, ack_deadline_seconds=60
    )
    yield server, settings
    server.stop()


def received(settings: Settings, count: int, seconds: float = 10.0) -> list[dict[str, Any]]:
    subscription = f"projects/{settings.project}/subscriptions/all"
    found: list[dict[str, Any]] = []
    client = SubscriberClient()
    end = time.monotonic() + seconds
    while len(found) < count and time.monotonic() < end:
        pulled = client.pull(subscription=subscription, max_messages=100, timeout=5).received_messages
        found += [json.loads(m.message.data) for m in pulled]
        if pulled:
            client.acknowledge(subscription=subscription, ack_ids=[m.ack_id for m in pulled])
    return found


def test_rows_are_with_pubsub_when_the_call_returns(pubsub: tuple[PubSubServer, Settings], tmp_path: Path) -> None:
    _, settings = pubsub
    log = InferenceLog(settings, folder=tmp_path / "buffer")
    log.confirm([{"inference_id": "r/0"}, {"inference_id": "r/1"}])
    assert sorted(row["inference_id"] for row in received(settings, 2)) == ["r/0", "r/1"]
    assert log.buffered_bytes == 0


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_json_does_not_know_fails_the_request(
    pubsub: tuple[PubSubServer, Settings], tmp_path: Path, number: float
) -> None:
    _, settings = pubsub
    with pytest.raises(ValueError, match="line 1"):
        InferenceLog(settings, folder=tmp_path / "buffer").confirm([{"inference_id": "r/0", "probability": number}])


def test_while_pubsub_is_away_the_disk_keeps_rows_and_they_arrive_when_it_is_back(
    pubsub: tuple[PubSubServer, Settings], tmp_path: Path
) -> None:
    server, settings = pubsub
    log = InferenceLog(settings, folder=tmp_path / "buffer")
    server.stop()
    log.confirm([{"inference_id": "away/0"}])
    assert log.buffered_bytes > 0
    server.start()
    assert [row["inference_id"] for row in received(settings, 1, 30)] == ["away/0"]
    end = time.monotonic() + 10
    while log.buffered_bytes and time.monotonic() < end:
        time.sleep(0.05)
    assert log.buffered_bytes == 0


def test_what_a_killed_process_left_on_disk_is_published_by_the_next(
    pubsub: tuple[PubSubServer, Settings], tmp_path: Path
) -> None:
    _, settings = pubsub
    folder = tmp_path / "buffer"
    folder.mkdir()
    (folder / "00000000000000000001-a.ndjson").write_text('{"inference_id": "left/0"}\n{"inference_id": "left/1"}')
    (folder / "00000000000000000002-b.new").write_text('{"inference_id": "never conf')
    InferenceLog(settings, folder=folder)
    assert sorted(row["inference_id"] for row in received(settings, 2)) == ["left/0", "left/1"]


def test_a_full_buffer_fails_the_request_instead_of_losing_rows(
    pubsub: tuple[PubSubServer, Settings], tmp_path: Path
) -> None:
    server, settings = pubsub
    log = InferenceLog(settings, folder=tmp_path / "buffer", buffer_bytes=40)
    server.stop()
    log.confirm([{"inference_id": "fits"}])
    with pytest.raises(UnavailableError, match=r"40 bytes\) is full"):
        log.confirm([{"inference_id": "does not fit any more"}])


def test_batches_keep_within_pubsubs_limits() -> None:
    batches = _batches([b"x" * 3_000_000] * 5 + [b"y"] * 1_500)
    assert all(sum(map(len, b)) <= 8_000_000 and len(b) <= 1_000 for b in batches)
    assert sum(map(len, batches)) == 1_505


def test_requests_that_wait_for_a_confirmation_have_theirs_in_the_next_one_together(
    pubsub: tuple[PubSubServer, Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, settings = pubsub
    log = InferenceLog(settings, folder=tmp_path / "buffer")
    published: list[int] = []
    first_is_on_its_way, may_end = threading.Event(), threading.Event()

    def publish(messages: Sequence[bytes]) -> None:
        published.append(len(messages))
        if len(published) == 1:
            first_is_on_its_way.set()
            may_end.wait(10)

    monkeypatch.setattr(log, "_publish", publish)
    threads = [threading.Thread(target=log.confirm, args=([{"n": n}],)) for n in range(8)]
    threads[0].start()
    assert first_is_on_its_way.wait(10)
    for thread in threads[1:]:
        thread.start()
    while len(log._waiting_requests) < 7:
        time.sleep(0.01)
    may_end.set()
    for thread in threads:
        thread.join(10)
    assert published == [1, 7]


def test_a_confirmation_that_fails_fails_for_all_that_were_in_it_and_the_disk_keeps_them(
    pubsub: tuple[PubSubServer, Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, settings = pubsub
    log = InferenceLog(settings, folder=tmp_path / "buffer")

    def publish(messages: Sequence[bytes]) -> None:
        raise ConnectionError(len(messages))

    monkeypatch.setattr(log, "_publish", publish)
    threads = [threading.Thread(target=log.confirm, args=([{"n": n}],)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    kept = [
        json.loads(line) for file in (tmp_path / "buffer").glob("*.ndjson") for line in file.read_text().split("\n")
    ]
    assert sorted(row["n"] for row in kept) == [0, 1, 2, 3]
