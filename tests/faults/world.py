"""The local cloud with tiny models in it, and the courier: what Pub/Sub's push and Cloud Functions do, under our control.

The courier pulls the stages' messages and hands each to a function process of its own; only when that ends well does it
acknowledge. So it decides what a message meets: a death, an error, a twin. BigQuery, Vertex AI and Pub/Sub are servers of
their own to the functions, as always; Pub/Sub may be Google's emulator.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import json
import os
import subprocess
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
import yaml
from google.api_core import exceptions as api
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from deployment.application import Application
from deployment.setup import prepare
from deployment.stages.message import StageMessage
from etl.settings import environment_file, load_settings
from infra.local.cloud import LocalCloud, client_environment
from infra.local.provisioning import function_subscription, provision
from tests.faults import tiny_model
from tests.faults.calls import Fault

ROOT = Path(__file__).resolve().parents[2]
DEAD_LETTER = "dead-letter"
# A challenger passes through two shares, each for no time at all.
TINY_ENVIRONMENT = {
    "BQLOOP_ROLLOUT__STEPS": "[20, 60, 100]",
    "BQLOOP_ROLLOUT__HOLD_MINUTES": "0",
    "BQLOOP_ROLLOUT__MINIMUM_REQUESTS": "0",
}
# A function that has made no call for so long hangs; one that makes calls is only slow.
_HANGS_AFTER = 200.0
# Long: Google's emulator goes on serving pulls whose client has hung up.
_PULL_SECONDS = 20.0


def configuration(models: tuple[str, ...]) -> dict[str, Any]:
    """The local environment with tiny models, and with messages that come again at once."""
    config: dict[str, Any] = yaml.safe_load(environment_file("local").read_text(encoding="utf-8"))
    config["models"] = list(models)
    config["delivery"] |= {"minimum_backoff_seconds": 0.05, "maximum_backoff_seconds": 0.2}
    config["delivery"] |= {"max_delivery_attempts": 8}
    return config


@dataclass(frozen=True)
class Delivery:
    """How one delivery to a function ended.

    Attributes:
        exit: The process's exit code: 0 acknowledges.
        trace: The calls it made, and where the fault struck.
    """

    exit: int
    trace: tuple[Mapping[str, Any], ...]

    @property
    def struck(self) -> bool:
        """Whether the fault that was planned came to pass."""
        return any("struck" in line for line in self.trace)

    @property
    def calls(self) -> list[Mapping[str, Any]]:
        """The calls, in order."""
        return [line for line in self.trace if "call" in line]


@dataclass(frozen=True)
class Message:
    """A message as Pub/Sub delivered it."""

    function: str
    data: str
    attributes: Mapping[str, str]
    message_id: str
    published: str

    @property
    def model(self) -> str:
        """The model that it is about; "" where that cannot be told."""
        try:
            return str(json.loads(self.data).get("model", ""))
        except (ValueError, AttributeError):
            return ""


Handler = Callable[[Message], bool]


@dataclass
class _Functions:
    """The parent of all function processes."""

    folder: Path
    process: Any = None
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _ended: dict[str, tuple[threading.Event, list[int]]] = field(default_factory=dict)

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "failed_jobs").mkdir(exist_ok=True)
        with (self.folder / "parent.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.function_process"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=ROOT,
            )
        threading.Thread(target=self._listen, name="functions-ended", daemon=True).start()

    def stop(self) -> None:
        self.process.stdin.close()
        self.process.wait(60)
        self.process.stdout.close()

    def call(self, order: dict[str, Any]) -> Delivery:
        with self._lock:
            identity = str(next(self._numbers))
            trace = self.folder / f"{identity}.trace"
            ended: tuple[threading.Event, list[int]] = (threading.Event(), [])
            self._ended[identity] = ended
            log, failed = str(self.folder / "functions.log"), str(self.folder / "failed_jobs")
            order = {**order, "id": identity, "trace": str(trace), "log": log, "failed_jobs": failed}
            self.process.stdin.write(json.dumps(order).encode() + b"\n")
            self.process.stdin.flush()
        made = -1
        while not ended[0].wait(_HANGS_AFTER):
            calls = trace.stat().st_size if trace.exists() else 0
            if calls == made:
                raise TimeoutError(f"function {order['function']} hangs: {order['message']}")
            made = calls
        lines = trace.read_text().splitlines() if trace.exists() else []
        trace.unlink(missing_ok=True)
        return Delivery(ended[1][0], tuple(json.loads(line) for line in lines))

    def _listen(self) -> None:
        for line in self.process.stdout:
            answer = json.loads(line)
            event, codes = self._ended.pop(answer["id"])
            codes.append(answer["exit"])
            event.set()


class World:
    """A running local cloud with tiny models.

    Args:
        state: Where it is kept.
        models: Names of the tiny models.
        pubsub: Address of another Pub/Sub to use, such as Google's emulator.
    """

    def __init__(self, state: Path, models: tuple[str, ...] = ("tiny",), *, pubsub: str = "") -> None:
        self.state = state
        self.models = models
        self.config = configuration(models)
        self._pubsub = pubsub
        self._handlers: dict[str, Handler] = {}
        self._stopping = threading.Event()
        self._functions = _Functions(state / "functions")
        self._busy: Counter[str] = Counter()
        self._busy_lock = threading.Lock()

    @contextlib.contextmanager
    def running(self) -> Iterator[World]:
        """Start everything, and stop it again."""
        before = dict(os.environ)
        cloud = LocalCloud(self.config, self.state, root=ROOT, with_functions=False, with_scheduler=False)
        with contextlib.ExitStack() as stack:
            self._functions.start()
            stack.callback(self._functions.stop)
            cloud.start()
            stack.callback(cloud.stop)
            stack.callback(lambda: (os.environ.clear(), os.environ.update(before)))
            endpoints = cloud.endpoints | ({"pubsub": self._pubsub} if self._pubsub else {})
            self.environment = client_environment(self.config["project"], endpoints, cloud.credentials.path)
            self.environment |= TINY_ENVIRONMENT | {"BQLOOP_MODELS": json.dumps(self.models)}
            os.environ.update(self.environment)
            token = json.loads(cloud.credentials.path.read_text())["token_uri"]
            addresses = {"bigquery": endpoints["bigquery"], "vertex": endpoints["vertex"], "token": token}
            self._addresses = {urlsplit(address).netloc: service for service, address in addresses.items()}
            channel = stack.enter_context(grpc.insecure_channel(endpoints["pubsub"]))
            self.publisher = PublisherClient(transport=PublisherGrpcTransport(channel=channel))
            self.subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
            provision(self.config, self.publisher, self.subscriber, functions=None)
            self.app = Application(load_settings("local"))
            tiny_model.put_into(self.app)
            prepare(self.app)
            for model in self.models:
                tiny_model.fill(self.app, model, ingested_at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
            pool = stack.enter_context(ThreadPoolExecutor(32, thread_name_prefix="courier"))
            stack.callback(self._stopping.set)
            for name, function in self.config["functions"].items():
                if function["trigger"] == "pubsub":
                    subscription = f"projects/{self.config['project']}/subscriptions/" + function_subscription(
                        function["topic"]
                    )
                    pool.submit(self._pull, name, subscription, pool)
            yield self

    def courier(self, model: str, handler: Handler) -> None:
        """Give a model's messages to `handler`: True acknowledges, False has them come again."""
        self._handlers[model] = handler

    def publish(self, message: StageMessage) -> None:
        """Publish as the command line does."""
        self.publish_raw(message.stage, message.model_dump_json().encode())

    def publish_raw(self, stage: str, data: bytes) -> None:
        """Publish bytes to a stage's topic."""
        topic = self.app.settings.stage_topic(stage)
        self.publisher.publish(topic=topic, messages=[{"data": data}])

    def call(self, message: Message, fault: Fault | None = None) -> Delivery:
        """Hand a message to a function process, once."""
        return self._functions.call(
            {
                "function": message.function,
                "message": {
                    "data": message.data,
                    "attributes": dict(message.attributes),
                    "message_id": message.message_id,
                    "published": message.published,
                },
                "fault": fault.as_dict() if fault else None,
                "environment": self.environment,
                "addresses": self._addresses,
            }
        )

    def busy(self, model: str) -> int:
        """How many messages about a model are with a function just now."""
        with self._busy_lock:
            return self._busy[model]

    def _pull(self, function: str, subscription: str, pool: ThreadPoolExecutor) -> None:
        while not self._stopping.is_set():
            try:
                answer = self.subscriber.pull(
                    subscription=subscription, max_messages=4, retry=None, timeout=_PULL_SECONDS
                )
            except (api.DeadlineExceeded, api.ServiceUnavailable):
                continue
            except (api.Cancelled, ValueError):
                return
            for received in answer.received_messages:
                message = Message(
                    function=function,
                    data=received.message.data.decode(errors="replace"),
                    attributes=dict(received.message.attributes),
                    message_id=received.message.message_id,
                    published=received.message.publish_time.isoformat(),
                )
                with self._busy_lock:
                    self._busy[message.model] += 1
                pool.submit(self._hand_over, message, subscription, received.ack_id)

    def _hand_over(self, message: Message, subscription: str, ack_id: str) -> None:
        try:
            handler = self._handlers.get(message.model, lambda m: self.call(m).exit == 0)
            self._settle(subscription, ack_id, handler(message))
        except Exception:
            traceback.print_exc()
            raise
        finally:
            with self._busy_lock:
                self._busy[message.model] -= 1

    def _settle(self, subscription: str, ack_id: str, done: bool) -> None:
        with contextlib.suppress(api.GoogleAPICallError, api.RetryError):  # then the message comes again
            if done:
                self.subscriber.acknowledge(subscription=subscription, ack_ids=[ack_id])
            else:
                self.subscriber.modify_ack_deadline(subscription=subscription, ack_ids=[ack_id], ack_deadline_seconds=0)
