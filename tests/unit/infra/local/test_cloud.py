import gc
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
import yaml
from google.cloud import aiplatform_v1, bigquery, pubsub_v1, storage

from infra.local.cloud import LocalCloud, configured_ports
from infra.local.state_folder import CloudAlreadyRunningError, running_cloud

REPOSITORY = Path(__file__).parents[4]
# The real environment, with functions of the test's own and less patience.
CONFIG: dict[str, Any] = yaml.safe_load((REPOSITORY / "infra/environments/local.yaml").read_text()) | {
    "functions": {
        "check": {"entry_point": "check", "trigger": "pubsub", "topic": "bqloop-check", "timeout_seconds": 30},
        "dead-letter": {
            "entry_point": "dead_letter",
            "trigger": "pubsub",
            "topic": "bqloop-dead-letter",
            "timeout_seconds": 30,
        },
        "service": {"entry_point": "service", "trigger": "http", "timeout_seconds": 30},
    },
    "schedules": {"check": {"cron": "0 5 * * *", "time_zone": "Etc/UTC", "topic": "bqloop-check"}},
    "delivery": {
        "minimum_backoff_seconds": 0.1,
        "maximum_backoff_seconds": 1,
        "max_delivery_attempts": 5,
        "dead_letter_topic": "bqloop-dead-letter",
    },
    "models": ["deal_duplicates"],
}
FUNCTIONS = '''
import base64, json, os, time
import functions_framework
from google.cloud import bigquery, pubsub_v1

def note(**what):
    with open(os.environ["NOTES"], "a") as notes:
        notes.write(json.dumps(what) + "\\n")

@functions_framework.cloud_event
def check(event):
    """Speaks to BigQuery and Pub/Sub with the real clients and nothing but their defaults."""
    data = base64.b64decode(event.data["message"]["data"]).decode()
    if data == "fail":
        raise RuntimeError("no")
    if data == "slow":
        note(function="slow")
        time.sleep(60)
    two = list(bigquery.Client().query_and_wait("SELECT 1 + 1 AS two"))[0].two
    note(function="check", data=data, two=two, attributes=event.data["message"]["attributes"])

@functions_framework.cloud_event
def dead_letter(event):
    note(function="dead_letter", attributes=event.data["message"]["attributes"])

def service(request):
    topic = f"projects/{os.environ['GOOGLE_CLOUD_PROJECT']}/topics/bqloop-inference"
    pubsub_v1.PublisherClient().publish(topic, request.get_data()).result(10)
    return {"logged": True}
'''


class Site:
    """A repository of two functions, the state folder of its cloud, and what the functions noted."""

    def __init__(self, path: Path) -> None:
        self.root = path / "repository"
        (self.root / "functions").mkdir(parents=True)
        (self.root / "functions" / "main.py").write_text(FUNCTIONS)
        self.state = path / "state"
        self.path = path / "notes"

    # Not the client of Vertex AI, which these functions do not use and which takes four seconds.
    imports = ("google.cloud.bigquery", "google.cloud.pubsub_v1")

    def cloud(self, **settings: Any) -> LocalCloud:
        return LocalCloud(CONFIG, self.state, root=self.root, function_imports=self.imports, **settings)

    def notes(self, function: str) -> list[dict[str, Any]]:
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        return [note for note in map(json.loads, lines) if note["function"] == function]

    def wait_for(self, function: str, count: int = 1, seconds: float = 30.0) -> list[dict[str, Any]]:
        end = time.monotonic() + seconds
        while len(notes := self.notes(function)) < count and time.monotonic() < end:
            time.sleep(0.05)
        return notes


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LocalCloud, Site, float]]:
    """A cloud that the tests which only ask things of it share, with the seconds that its start took."""
    site = Site(tmp_path_factory.mktemp("shared"))
    os.environ["NOTES"] = str(site.path)
    cloud = site.cloud()
    began = time.monotonic()
    cloud.start()
    seconds = time.monotonic() - began
    del os.environ["NOTES"]
    yield cloud, site, seconds
    cloud.stop()


@pytest.fixture
def running(shared: tuple[LocalCloud, Site, float], monkeypatch: pytest.MonkeyPatch) -> tuple[LocalCloud, Site, float]:
    for name, value in shared[0].environment().items():
        monkeypatch.setenv(name, value)
    return shared


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    site = Site(tmp_path)
    monkeypatch.setenv("NOTES", str(site.path))
    return site


@pytest.fixture
def start(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., LocalCloud]]:
    started: list[LocalCloud] = []

    def start(**settings: Any) -> LocalCloud:
        cloud = site.cloud(**settings)
        cloud.start()
        started.append(cloud)
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        return cloud

    yield start
    for cloud in started:
        cloud.stop()


def publish(topic: str, data: bytes) -> None:
    """Send one message; a client that found nobody asks again after 1, 1.6, 2.6, 4.1 and 6.6 seconds: wait for a few of those."""
    publisher = pubsub_v1.PublisherClient()
    publisher.publish(f"projects/{CONFIG['project']}/topics/{topic}", data).result(60)
    publisher.stop()


def test_the_whole_cloud_is_ready_in_time_and_every_real_client_finds_it(running):
    cloud, _, seconds = running
    assert seconds < 20  # 10 on a machine that does nothing else; the tests run side by side
    assert [row.two for row in bigquery.Client().query_and_wait("SELECT 1 + 1 AS two")] == [2]
    assert list(pubsub_v1.PublisherClient().list_topics(project=f"projects/{CONFIG['project']}"))
    assert [bucket.name for bucket in storage.Client().list_buckets()] == ["bqloop-local-artifacts"]
    endpoints = aiplatform_v1.EndpointServiceClient(
        transport="rest", client_options={"api_endpoint": os.environ["BQLOOP_ENDPOINTS__VERTEX"]}
    )
    parent = f"projects/{CONFIG['project']}/locations/{CONFIG['region']}"
    assert list(endpoints.list_endpoints(parent=parent)) == []
    assert set(cloud.endpoints) == {"bigquery", "bigquery_storage", "pubsub", "vertex", "storage", "functions"}


def test_the_collector_waits_for_more_than_a_statement_s_syntax_tree(running):
    assert gc.get_threshold()[0] >= 50_000


def test_a_triggered_schedule_reaches_its_function_for_every_model(running):
    cloud, site, _ = running
    cloud.trigger("check")
    (note,) = site.wait_for("check")
    assert json.loads(note["data"]) == {"model": "deal_duplicates"}
    assert note["two"] == 2


def test_a_failing_function_ends_in_the_function_of_the_dead_letters(running):
    _, site, _ = running
    publish("bqloop-check", b"fail")
    (note,) = site.wait_for("dead_letter")
    assert note["attributes"]["CloudPubSubDeadLetterSourceSubscription"] == "bqloop-check"
    assert note["attributes"]["CloudPubSubDeadLetterSourceDeliveryCount"] == "5"


def test_what_the_service_logs_lands_in_the_table_even_if_that_is_made_later(running):
    cloud, _, _ = running
    for number in range(20):
        url = f"{cloud.endpoints['functions']}/service/"
        assert requests.post(url, json={"prediction_id": f"{number:02}"}, timeout=10).ok
    client = bigquery.Client()
    client.create_dataset(CONFIG["dataset"], exists_ok=True)
    table = f"{CONFIG['dataset']}.{CONFIG['inference_log']['table']}"
    client.query_and_wait(f"CREATE TABLE {table} (prediction_id STRING)")
    end = time.monotonic() + 20
    while time.monotonic() < end:
        found = [row.prediction_id for row in client.query_and_wait(f"SELECT * FROM {table} ORDER BY 1")]
        if len(found) >= 20:
            break
        time.sleep(0.1)
    assert found == [f"{number:02}" for number in range(20)]


def test_messages_tables_and_files_survive_a_restart(start, site):
    first = start(with_functions=False)
    publish("bqloop-check", b"kept")
    client = bigquery.Client()
    client.create_dataset("kept")
    client.query_and_wait("CREATE TABLE kept.t AS SELECT 42 AS n")
    storage.Client().create_bucket("kept").blob("a/b").upload_from_string("text")
    first.stop()
    start()
    assert [row.n for row in bigquery.Client().query_and_wait("SELECT n FROM kept.t")] == [42]
    assert storage.Client().bucket("kept").blob("a/b").download_as_text() == "text"
    assert [note["data"] for note in site.wait_for("check")] == ["kept"]


def test_a_stop_does_not_count_the_delivery_that_it_cuts_short(start, site):
    cloud = start()
    publish("bqloop-check", b"slow")
    assert site.wait_for("slow")
    cloud.stop()
    start(with_functions=False)
    with pubsub_v1.SubscriberClient() as subscriber:
        subscription = subscriber.subscription_path(CONFIG["project"], "bqloop-check")
        (received,) = subscriber.pull(subscription=subscription, max_messages=1, timeout=5).received_messages
    assert received.delivery_attempt == 1


def test_a_pubsub_that_dies_comes_back_at_its_address_with_its_messages_and_delivers_them(start, site):
    cloud = start()
    address, died = cloud.pubsub.endpoint, cloud.pubsub.pid
    os.kill(died, signal.SIGKILL)
    publish("bqloop-check", b"after the crash")
    assert [note["data"] for note in site.wait_for("check")] == ["after the crash"]
    assert cloud.pubsub.pid != died
    assert cloud.pubsub.endpoint == address


def test_a_second_cloud_on_the_same_state_is_refused_and_the_file_says_where_the_first_one_is(start, site):
    cloud = start(with_functions=False)
    found = running_cloud(site.state)
    assert found is not None
    assert found["pid"] == os.getpid()
    assert found["endpoints"] == cloud.endpoints
    with pytest.raises(CloudAlreadyRunningError, match=f"process {os.getpid()}.*BQLOOP_STATE"):
        site.cloud().start()
    cloud.stop()
    cloud.stop()
    assert not (site.state / "cloud.json").exists()
    assert running_cloud(site.state) is None


def test_a_cloud_that_cannot_start_leaves_nothing_running(site):
    (site.root / "functions" / "main.py").write_text("import no_such_module\n")
    with pytest.raises(RuntimeError, match="no_such_module"):
        site.cloud().start()
    (site.root / "functions" / "main.py").write_text(FUNCTIONS)
    cloud = site.cloud(with_functions=False)
    cloud.start()
    cloud.stop()


def test_configured_ports_are_those_of_the_environment_file():
    assert configured_ports(CONFIG)["pubsub"] == 8085
    assert configured_ports({}) == {}


CLOUD = """
import json, pathlib, sys, time
from infra.local.cloud import LocalCloud
config, state, root = json.loads(sys.argv[1]), pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
cloud = LocalCloud(config, state, root=root, with_functions=sys.argv[4] == "functions", function_imports=["google.cloud.bigquery"])
cloud.start()
pathlib.Path(sys.argv[5]).write_text(json.dumps(cloud.environment()))
time.sleep(600)
"""


@pytest.fixture
def start_process(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    processes: list[subprocess.Popen[bytes]] = []

    def start(functions: str) -> subprocess.Popen[bytes]:
        ready = site.state / f"ready-{len(processes)}"
        arguments = [json.dumps(CONFIG), str(site.state), str(site.root), functions, str(ready)]
        process = subprocess.Popen(
            [sys.executable, "-c", CLOUD, *arguments],
            env=os.environ | {"PYTHONPATH": os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])},
        )
        processes.append(process)
        while not (ready.exists() and ready.read_text().endswith("}")):
            assert process.poll() is None, "the cloud did not start"
            time.sleep(0.05)
        for name, value in json.loads(ready.read_text()).items():
            monkeypatch.setenv(name, value)
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()


def test_a_cloud_killed_between_publish_and_delivery_delivers_after_the_next_start(start_process, site):
    process = start_process("no functions")
    for number in range(50):
        publish("bqloop-check", str(number).encode())
    client = bigquery.Client()
    client.create_dataset("kept")
    client.query_and_wait("CREATE TABLE kept.t AS SELECT 42 AS n")
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    start_process("functions")
    notes = site.wait_for("check", 50)
    assert {note["data"] for note in notes} == {str(number) for number in range(50)}
    assert [row.n for row in bigquery.Client().query_and_wait("SELECT n FROM kept.t")] == [42]


def test_a_cloud_killed_during_a_delivery_delivers_again(start_process, site):
    process = start_process("functions")
    publish("bqloop-check", b"slow")
    assert site.wait_for("slow")
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    start_process("functions")
    assert len(site.wait_for("slow", 2)) == 2
