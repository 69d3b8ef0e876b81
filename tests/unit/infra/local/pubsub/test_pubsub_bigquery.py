"""BigQuery subscriptions, through the real BigQuery client, into the local BigQuery."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from google.protobuf import duration_pb2
from google.pubsub_v1 import types

from infra.local.bigquery import BigQueryServer
from infra.local.pubsub import PubSubServer

PROJECT = "contract"
BRIEF = {
    "minimum_backoff": duration_pb2.Duration(nanos=50_000_000),
    "maximum_backoff": duration_pb2.Duration(seconds=1),
}


def bigquery_server(state: Path, port: int = 0) -> BigQueryServer:
    return BigQueryServer(state, project=PROJECT, registry=None, storage_root=state / "gs", port=port)


class Warehouse:
    """The table that a subscription writes to, and what stands in it."""

    def __init__(self, endpoint: str) -> None:
        self.client = bigquery.Client(
            project=PROJECT, credentials=AnonymousCredentials(), client_options={"api_endpoint": endpoint}
        )
        self.client.create_dataset("d", exists_ok=True)

    def create(self, columns: str, name: str = "t") -> str:
        self.client.query_and_wait(f"CREATE TABLE d.{name} ({columns})")
        return f"{PROJECT}.d.{name}"

    def rows(self, order: str, name: str = "t") -> list[dict[str, Any]]:
        return [dict(row) for row in self.client.query_and_wait(f"SELECT * FROM d.{name} ORDER BY {order}")]

    def wait_for(self, count: int, order: str, name: str = "t", seconds: float = 20.0) -> list[dict[str, Any]]:
        end = time.monotonic() + seconds
        while len(rows := self.rows(order, name)) < count and time.monotonic() < end:
            time.sleep(0.1)
        return rows


@pytest.fixture(scope="module")
def local_bigquery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BigQueryServer]:
    server = bigquery_server(tmp_path_factory.mktemp("bigquery"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def warehouse(local_bigquery: BigQueryServer) -> Iterator[Warehouse]:
    warehouse = Warehouse(local_bigquery.endpoint)
    warehouse.client.query_and_wait("DROP TABLE IF EXISTS d.t")
    yield warehouse
    warehouse.client.close()


@pytest.fixture
def server(tmp_path: Path, local_bigquery: BigQueryServer) -> Iterator[PubSubServer]:
    server = PubSubServer(tmp_path / "state", bigquery_endpoint=local_bigquery.endpoint)
    server.start()
    yield server
    server.stop()


def test_fields_of_a_json_message_become_columns(local, warehouse):
    table = warehouse.create("id STRING, score FLOAT64, features JSON, tags ARRAY<STRING>, seen_at TIMESTAMP")
    topic = local.topic()
    local.subscription(topic, bigquery_config={"table": table, "use_table_schema": True})
    message = {
        "id": "a",
        "score": 0.5,
        "features": {"x": [1, 2]},
        "tags": ["p", "q"],
        "seen_at": "2026-01-02T03:04:05Z",
    }
    local.publish(topic, json.dumps(message))
    (row,) = warehouse.wait_for(1, "id")
    assert (row["id"], row["score"], row["tags"]) == ("a", 0.5, ["p", "q"])
    assert row["features"] == {"x": [1, 2]}
    assert row["seen_at"].isoformat() == "2026-01-02T03:04:05+00:00"


def test_without_a_schema_the_message_stands_in_data_with_its_metadata_beside_it(local, warehouse):
    table = warehouse.create(
        "data STRING, subscription_name STRING, message_id STRING, publish_time TIMESTAMP, attributes JSON"
    )
    topic = local.topic()
    subscription = local.subscription(topic, bigquery_config={"table": table, "write_metadata": True})
    (message_id,) = local.publish(topic, "plain text", model="m")
    (row,) = warehouse.wait_for(1, "data")
    assert row["data"] == "plain text"
    assert row["subscription_name"] == subscription
    assert row["message_id"] == message_id
    assert row["attributes"] == {"model": "m"}
    assert abs(row["publish_time"].timestamp() - time.time()) < 60


def test_messages_wait_for_a_table_that_is_not_there_yet(local, server, warehouse):
    topic = local.topic()
    config = {"table": f"{PROJECT}.d.t", "use_table_schema": True}
    subscription = local.subscription(topic, bigquery_config=config)
    local.publish(topic, *[json.dumps({"n": n}) for n in range(20)])
    end = time.monotonic() + 10
    while time.monotonic() < end:
        found = local.subscriber.get_subscription(subscription=subscription)
        if found.state == types.Subscription.State.RESOURCE_ERROR:
            break
        time.sleep(0.05)
    assert found.bigquery_config.state == types.BigQueryConfig.State.NOT_FOUND
    warehouse.create("n INT64, note STRING")
    assert [row["n"] for row in warehouse.wait_for(20, "n")] == list(range(20))
    found = local.subscriber.get_subscription(subscription=subscription)
    assert found.state == types.Subscription.State.ACTIVE


def test_a_message_that_does_not_fit_goes_to_the_dead_letter_topic_with_the_reason_and_the_others_land(
    local, server, warehouse
):
    table = warehouse.create("n INT64, note STRING")
    topic, graveyard = local.topic(), local.topic("dead")
    graves = local.subscription(graveyard)
    subscription = local.subscription(
        topic,
        bigquery_config={"table": table, "use_table_schema": True},
        retry_policy=BRIEF,
        dead_letter_policy={"dead_letter_topic": graveyard, "max_delivery_attempts": 5},
    )
    bad = ['{"n": "a word"}', '{"n": 1, "unknown": 2}', "no JSON", "[1]"]
    local.publish(topic, '{"n": 1}', *bad, '{"n": 2}')
    buried = local.pull(graves, at_least=len(bad), seconds=20)
    assert sorted(r.message.data.decode() for r in buried) == sorted(bad)
    for received in buried:
        attributes = received.message.attributes
        assert attributes["CloudPubSubDeadLetterSourceDeliveryErrorMessage"]
        assert attributes["CloudPubSubDeadLetterSourceDeliveryCount"] == "5"
    assert [row["n"] for row in warehouse.wait_for(2, "n")] == [1, 2]
    assert server.broker.backlog(subscription) == 0


def test_unknown_fields_are_dropped_where_the_subscription_says_so(local, warehouse):
    table = warehouse.create("n INT64, note STRING")
    topic = local.topic()
    local.subscription(topic, bigquery_config={"table": table, "use_table_schema": True, "drop_unknown_fields": True})
    local.publish(topic, '{"n": 1, "unknown": 2}')
    assert [row["n"] for row in warehouse.wait_for(1, "n")] == [1]


def test_nothing_is_lost_or_doubled_while_bigquery_is_away(tmp_path: Path, connected: Callable[[str], Any]):
    store = bigquery_server(tmp_path / "bigquery")
    store.start()
    port = int(store.endpoint.rsplit(":", 1)[1])
    warehouse = Warehouse(store.endpoint)
    table = warehouse.create("n INT64, note STRING")
    server = PubSubServer(tmp_path / "pubsub", bigquery_endpoint=store.endpoint)
    server.start()
    client = connected(server.endpoint)
    topic = client.topic()
    client.subscription(topic, bigquery_config={"table": table, "use_table_schema": True})
    client.publish(topic, *[json.dumps({"n": n}) for n in range(100)])
    store.stop()
    client.publish(topic, *[json.dumps({"n": n}) for n in range(100, 200)])
    time.sleep(0.5)
    store = bigquery_server(tmp_path / "bigquery", port)
    store.start()
    rows = Warehouse(store.endpoint).wait_for(200, "n")
    server.stop()
    store.stop()
    assert [row["n"] for row in rows] == list(range(200))
