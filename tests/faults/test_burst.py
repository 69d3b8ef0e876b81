"""A burst of messages, and a minute of inferences at 200 a second: nothing lost, and memory stays where it was."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import wait
from pathlib import Path
from typing import Any

import pytest
from google.cloud.pubsub_v1 import PublisherClient

from bench import steady
from tests.faults.cloud_kills import MODEL, KilledCloud, run_with_kills
from tests.faults.waiting import wait_until

MESSAGES = 2_000
RATE, SECONDS = 200, 60
# Pages that are kept for the next burst are no leak; a message that is kept would be some kilobytes, times 14,000.
ROOM_MEGABYTES = 300


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[KilledCloud]:
    with KilledCloud(tmp_path).running() as running:
        yield running


def megabytes(pid: int) -> int:
    """Resident memory of the cloud's process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) // 1024


def inference(number: int) -> bytes:
    row = {
        "inference_id": f"burst-{number}",
        "request_id": f"burst-{number}",
        "answered_at": "2026-03-01T00:00:00Z",
        "route": "score",
        "model": MODEL,
    }
    return json.dumps(row).encode()


@pytest.mark.slow
def test_a_burst_and_a_minute_of_inferences_lose_nothing_and_memory_stays_flat(cloud: KilledCloud) -> None:
    settings = cloud.app.settings
    table = f"{settings.project}.{settings.dataset}.{settings.inference_log.table}"
    topic = settings.topic_path(settings.inference_log.topic)
    client: Any = cloud.app.bigquery
    publisher = PublisherClient()

    def logged() -> int:
        (row,) = client.query(f"SELECT COUNT(DISTINCT inference_id) AS n FROM `{table}`").result()
        return int(row["n"])

    wait([publisher.publish(topic, inference(n)) for n in range(MESSAGES)], timeout=60)
    assert wait_until(lambda: logged() == MESSAGES, 120, pause=1.0), f"{logged()} of {MESSAGES} arrived"
    before = megabytes(cloud.pid)
    confirmed, began = [], time.monotonic()
    for number in range(MESSAGES, MESSAGES + RATE * SECONDS):
        confirmed.append(publisher.publish(topic, inference(number)))
        time.sleep(max(0.0, began + (number - MESSAGES) / RATE - time.monotonic()))
    wait(confirmed, timeout=60)
    assert time.monotonic() - began < 1.5 * SECONDS, "the rate was not held"
    everything = MESSAGES + RATE * SECONDS
    assert wait_until(lambda: logged() == everything, 180, pause=1.0), f"{logged()} of {everything} arrived"
    assert megabytes(cloud.pid) < before + ROOM_MEGABYTES
    undisturbed = run_with_kills(cloud, f"{MODEL}-2026-03-01", 0, seed=1)
    assert not undisturbed.lost, "the loop goes on after the burst"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_minute_of_requests_to_the_service_is_answered_and_logged_once_each() -> None:
    before = dict(os.environ)
    try:
        found = steady.run(RATE, SECONDS, MESSAGES, workers=2)
    finally:
        os.environ.clear()
        os.environ.update(before)
    assert (found.burst, found.answered, found.failed) == (MESSAGES, RATE * SECONDS, Counter())
    assert (found.lost, found.doubled) == (0, 0)
    assert max(found.megabytes) < found.megabytes[1] + ROOM_MEGABYTES
