import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from google.cloud import pubsub_v1
from google.protobuf import duration_pb2

from infra.local.functions import FunctionsHost
from infra.local.pubsub import PubSubServer

SOURCE = """
import base64, json, os, time
import functions_framework

def note(**what):
    with open(os.environ["NOTES"], "a") as notes:
        notes.write(json.dumps(what) + "\\n")

@functions_framework.cloud_event
def stage(event):
    message = event.data["message"]
    text = base64.b64decode(message["data"]).decode()
    note(id=event["id"], type=event["type"], source=event["source"], text=text,
         attributes=message["attributes"], at=time.monotonic(), pid=os.getpid())
    if text == "fail":
        raise RuntimeError("this one always fails")
    if text == "die" and not os.path.exists(os.environ["NOTES"] + ".died"):
        open(os.environ["NOTES"] + ".died", "w").close()
        os._exit(7)

def service(request):
    if request.path == "/slow":
        for _ in range(200):
            time.sleep(0.05)
    return {"path": request.path, "body": request.get_json(silent=True), "pid": os.getpid()}
"""
FUNCTIONS = {
    "stage": {"entry_point": "stage", "trigger": "pubsub", "timeout_seconds": 30},
    "service": {"entry_point": "service", "trigger": "http", "timeout_seconds": 1},
}


PARENT = f"""
import pathlib, time
from infra.local.functions import FunctionsHost
here = pathlib.Path.cwd()
host = FunctionsHost({FUNCTIONS!r}, source=here / "main.py", root=here, imports=[], log=here / "log")
host.start()
print(host.pid, flush=True)
time.sleep(600)
"""


class Notes:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path.read_text().splitlines()] if self.path.exists() else []

    def wait_for(self, count: int, seconds: float = 20.0) -> list[dict[str, Any]]:
        end = time.monotonic() + seconds
        while len(self()) < count and time.monotonic() < end:
            time.sleep(0.05)
        return self()


@pytest.fixture
def notes(tmp_path: Path) -> Notes:
    return Notes(tmp_path / "notes")


@pytest.fixture
def host(tmp_path: Path, notes: Notes) -> Iterator[FunctionsHost]:
    source = tmp_path / "main.py"
    source.write_text(SOURCE)
    host = FunctionsHost(
        FUNCTIONS,
        source=source,
        root=tmp_path,
        environment={"NOTES": str(notes.path)},
        log=tmp_path / "logs" / "functions.log",
        imports=["json", "no_such_module"],
    )
    host.start()
    yield host
    host.stop()


@pytest.fixture
def publish(
    host: FunctionsHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., pubsub_v1.SubscriberClient]]:
    """Publishes to a topic whose push subscription feeds `stage`; the graveyard takes what fails five times."""
    server = PubSubServer(tmp_path / "pubsub")
    server.start()
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", server.endpoint)
    publisher, subscriber = pubsub_v1.PublisherClient(), pubsub_v1.SubscriberClient()
    topic = publisher.create_topic(name="projects/p/topics/bqloop-stage").name
    graveyard = publisher.create_topic(name="projects/p/topics/graveyard").name
    subscriber.create_subscription(name="projects/p/subscriptions/graves", topic=graveyard)
    subscriber.create_subscription(
        request={
            "name": "projects/p/subscriptions/stage",
            "topic": topic,
            "push_config": {"push_endpoint": f"{host.endpoint}/stage/{topic}"},
            "ack_deadline_seconds": 30,
            "retry_policy": {
                "minimum_backoff": duration_pb2.Duration(nanos=200_000_000),
                "maximum_backoff": duration_pb2.Duration(seconds=5),
            },
            "dead_letter_policy": {"dead_letter_topic": graveyard, "max_delivery_attempts": 5},
        }
    )

    def publish(text: str, **attributes: str) -> pubsub_v1.SubscriberClient:
        publisher.publish(topic, text.encode(), **attributes).result(10)
        return subscriber

    yield publish
    publisher.stop()
    subscriber.close()
    server.stop()


def test_a_published_message_arrives_as_the_cloud_event_that_google_makes(publish, notes):
    publish("hello", model="deal_duplicates")
    (seen,) = notes.wait_for(1)
    assert seen["type"] == "google.cloud.pubsub.topic.v1.messagePublished"
    assert seen["source"] == "//pubsub.googleapis.com/projects/p/topics/bqloop-stage"
    assert seen["text"] == "hello"
    assert seen["attributes"] == {"model": "deal_duplicates"}


def test_a_failing_function_is_tried_again_with_back_off_and_then_dead_lettered(publish, notes):
    subscriber = publish("fail")
    tries = notes.wait_for(5)
    received = []
    end = time.monotonic() + 15
    while not received and time.monotonic() < end:
        received = subscriber.pull(subscription="projects/p/subscriptions/graves", max_messages=1).received_messages
    assert received[0].message.data == b"fail"
    assert received[0].message.attributes["CloudPubSubDeadLetterSourceDeliveryCount"] == "5"
    assert len(notes()) == 5
    assert len({seen["id"] for seen in tries}) == 1
    pauses = [later["at"] - earlier["at"] for earlier, later in itertools.pairwise(tries)]
    for pause, least in zip(pauses, [0.2, 0.4, 0.8, 1.6], strict=True):  # 0.2 s, doubled
        assert pause >= least


def test_a_function_that_kills_its_process_is_started_again_and_gets_the_message_again(publish, notes):
    publish("die")
    first, second = notes.wait_for(2)
    assert first["id"] == second["id"]
    assert first["pid"] != second["pid"]


def test_an_http_function_answers_at_its_own_path(host):
    answer = requests.post(f"{host.endpoint}/service/duplicates", json={"a": 1}, timeout=10)
    assert answer.json()["path"] == "/duplicates"
    assert answer.json()["body"] == {"a": 1}
    missing = requests.get(f"{host.endpoint}/nothing", timeout=10)
    assert missing.status_code == 404
    assert "/service, /stage" in missing.text


def test_a_call_that_takes_longer_than_its_timeout_is_broken_off(host):
    started = time.monotonic()
    answer = requests.get(f"{host.endpoint}/service/slow", timeout=30)
    assert answer.status_code >= 500
    assert 0.9 < time.monotonic() - started < 5


def test_the_host_starts_its_child_again_at_the_same_address(host):
    before = requests.get(f"{host.endpoint}/service/", timeout=10).json()["pid"]
    os.killpg(host.pid, signal.SIGKILL)
    after = requests.get(f"{host.endpoint}/service/", timeout=20).json()["pid"]
    assert before != after


def test_a_function_that_cannot_be_loaded_says_why(tmp_path):
    source = tmp_path / "main.py"
    source.write_text("import no_such_module\n")
    host = FunctionsHost(FUNCTIONS, source=source, root=tmp_path, imports=[], log=tmp_path / "log")
    with pytest.raises(RuntimeError, match="No module named 'no_such_module'"):
        host.start()


def test_the_functions_die_with_a_cloud_that_is_killed(tmp_path):
    (tmp_path / "main.py").write_text(SOURCE)
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        stdout=subprocess.PIPE,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[4])},
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    end = time.monotonic() + 10
    while _alive(child) and time.monotonic() < end:
        time.sleep(0.05)
    assert not _alive(child)


def _alive(pid: int) -> bool:
    # The orphan may stay as a zombie where nobody reaps it.
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not (status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] == "Z")
