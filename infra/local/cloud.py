"""The laptop's Google Cloud as one object: starts, wires and stops everything that stands in for a Google service.

All of it runs in this process, except the functions and Pub/Sub. What is in the state folder survives a stop and a kill. Production
code learns of the local cloud by `environment()` alone: addresses and made-up credentials in environment variables.
"""

import gc
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
from google.pubsub_v1 import PublisherClient, PubsubMessage, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from infra.local import TURN_SECONDS
from infra.local.bigquery import BigQueryServer
from infra.local.credentials import LocalCredentials
from infra.local.functions import GOOGLE_CLIENTS, FunctionsHost
from infra.local.model_registry import Predictor
from infra.local.provisioning import provision
from infra.local.pubsub import PubSubHost
from infra.local.scheduler import Job, Scheduler
from infra.local.state_folder import StateFolder
from infra.local.storage import StorageServer
from infra.local.vertex import VertexServer

SERVICES = ("bigquery", "pubsub", "vertex", "storage", "functions")
# A statement's syntax tree is tens of thousands of objects, soon gone; by default each would set off several collections of
# all there is.
_COLLECTOR = (50_000, 20, 20)


class LocalCloud:
    """A local Google Cloud on one state folder.

    Args:
        config: The environment file, parsed (`infra/environments/local.yaml`).
        state_dir: Where everything is kept; one cloud at a time.
        root: The repository: functions are loaded from `functions/main.py` in it.
        ports: By service (`SERVICES`); what is left out gets a free port. See `configured_ports`.
        with_functions: Without, the messages of functions wait.
        function_imports: Modules that the functions' process imports ahead, while the services start.
        with_scheduler: Without, nothing fires by the clock; `trigger` still does.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        state_dir: Path,
        *,
        root: Path,
        ports: Mapping[str, int] | None = None,
        with_functions: bool = True,
        function_imports: Sequence[str] = GOOGLE_CLIENTS,
        with_scheduler: bool = True,
    ) -> None:
        self._config = config
        self._project = str(config["project"])
        self._state = StateFolder(state_dir.absolute())
        self._root = root.absolute()
        self._ports = dict(ports or {})
        self._with_functions = with_functions
        self._function_imports = function_imports
        self._with_scheduler = with_scheduler
        self._running = ExitStack()
        self._endpoints: dict[str, str] = {}
        self.credentials = LocalCredentials(self._state.path, project=self._project)
        self.bigquery: BigQueryServer
        self.vertex: VertexServer
        self.storage: StorageServer
        self.pubsub: PubSubHost
        self.functions: FunctionsHost | None = None
        self.scheduler: Scheduler

    @property
    def endpoints(self) -> dict[str, str]:
        """Where each service answers, in the form that the environment file uses."""
        return dict(self._endpoints)

    def environment(self) -> dict[str, str]:
        """Environment variables that make unchanged code and Google's clients talk to this cloud."""
        return client_environment(self._project, self._endpoints, self.credentials.path)

    def start(self) -> None:
        """Start everything; returns when all of it answers.

        Raises:
            CloudAlreadyRunningError: Another process runs a cloud on this state folder.
            OSError: A port is taken; the text says which.
            RuntimeError: The functions cannot be loaded; the text says why.
        """
        gc.set_threshold(*_COLLECTOR)
        sys.setswitchinterval(TURN_SECONDS)
        with ExitStack() as starting:
            self._state.claim()
            starting.callback(self._state.release)
            self._start_services(starting)
            self._start_deliveries(starting)
            self._state.announce(self._endpoints)
            self._running = starting.pop_all()

    def stop(self) -> None:
        """Stop everything. What is under way is delivered again at the next start."""
        self._running.close()

    def trigger(self, job: str) -> None:
        """Fire a scheduled job now, as RunJob does on Google Cloud. Raises KeyError for a job that does not exist."""
        self.scheduler.trigger(job)

    def _start_services(self, starting: ExitStack) -> None:
        state = self._state.path
        if self._with_functions:
            self.functions = FunctionsHost(
                self._config["functions"],
                source=self._root / "functions" / "main.py",
                root=self._root,
                log=state / "logs" / "functions.log",
                imports=self._function_imports,
                port=self._port("functions"),
            )
            starting.callback(self.functions.stop)
            self.functions.prepare()  # Its child imports while BigQuery starts.
        self.pubsub = PubSubHost(
            state / "pubsub",
            root=self._root,
            log=state / "logs" / "pubsub.log",
            credentials_dir=state,
            project=self._project,
            port=self._port("pubsub"),
        )
        starting.callback(self.pubsub.stop)
        _start(starting, self.credentials)
        if bucket := self._config.get("bucket"):
            (state / "storage" / bucket).mkdir(parents=True, exist_ok=True)  # as Terraform makes it on Google Cloud
        self.storage = StorageServer(state / "storage", port=self._port("storage"))
        _start(starting, self.storage)
        self.vertex = VertexServer(
            state / "vertex", project=self._project, load_model=_load_model, port=self._port("vertex")
        )
        _start(starting, self.vertex)
        self.bigquery = BigQueryServer(
            state / "bigquery",
            project=self._project,
            registry=self.vertex.registry,
            storage_root=state / "storage",
            port=self._port("bigquery"),
        )
        _start(starting, self.bigquery)
        self.pubsub.start(self.bigquery.endpoint)
        starting.callback(self.pubsub.stop)  # again: before the BigQuery that it writes to
        self._endpoints = {
            "bigquery": self.bigquery.endpoint,
            "bigquery_storage": self.bigquery.grpc_endpoint.removeprefix("http://"),
            "pubsub": self.pubsub.endpoint,
            "vertex": self.vertex.endpoint,
            "storage": self.storage.endpoint,
        }
        if self.functions is not None:
            self._endpoints["functions"] = self.functions.endpoint

    def _start_deliveries(self, starting: ExitStack) -> None:
        if self.functions is not None:
            starting.callback(self.functions.stop)  # again: before the services that running calls still need
            self.functions.start(environment=self.environment(), wait=False)
        channel = starting.enter_context(grpc.insecure_channel(self.pubsub.endpoint))
        publisher = PublisherClient(transport=PublisherGrpcTransport(channel=channel))
        subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
        provision(self._config, publisher, subscriber, functions=self._endpoints.get("functions"))
        self.scheduler = Scheduler(self._jobs(), self._publish_with(publisher), self._state.path / "scheduler.json")
        if self.functions is not None:
            self.functions.wait_ready()
        self.pubsub.deliver()
        # Stopped before the functions are, so that what they cannot finish is not counted against the message.
        starting.callback(self.pubsub.hold)
        if self._with_scheduler:
            _start(starting, self.scheduler)

    def _jobs(self) -> dict[str, Job]:
        messages = [json.dumps({"model": model}).encode() for model in self._config.get("models", [])]
        return {
            name: Job(
                cron=job["cron"],
                time_zone=job["time_zone"],
                topic=f"projects/{self._project}/topics/{job['topic']}",
                messages=messages,
            )
            for name, job in self._config.get("schedules", {}).items()
        }

    def _publish_with(self, publisher: PublisherClient) -> Callable[[str, bytes], None]:
        def publish(topic: str, data: bytes) -> None:
            publisher.publish(topic=topic, messages=[PubsubMessage(data=data)])

        return publish

    def _port(self, service: str) -> int:
        return self._ports.get(service, 0)


def client_environment(project: str, endpoints: Mapping[str, str], credentials: Path) -> dict[str, str]:
    """Environment variables that make unchanged code and Google's clients talk to a running cloud.

    Args:
        project: Its project.
        endpoints: Where its services answer, as `LocalCloud.endpoints` or `running_cloud` tells.
        credentials: Its made-up service account's key file.
    """
    variables = {
        "GOOGLE_APPLICATION_CREDENTIALS": str(credentials),
        "GOOGLE_CLOUD_PROJECT": project,
        "PUBSUB_EMULATOR_HOST": endpoints["pubsub"],
        "BIGQUERY_EMULATOR_HOST": endpoints["bigquery"],
        "STORAGE_EMULATOR_HOST": endpoints["storage"],
        "BQLOOP_ENV": "local",
    }
    variables |= {f"BQLOOP_ENDPOINTS__{service.upper()}": address for service, address in endpoints.items()}
    # A proxy that the laptop uses for the world must not get what is for the laptop itself.
    excepted = [*(os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or "").split(","), "127.0.0.1", "localhost"]
    variables["NO_PROXY"] = variables["no_proxy"] = ",".join(dict.fromkeys(filter(None, excepted)))
    return variables


def configured_ports(config: Mapping[str, Any]) -> dict[str, int]:
    """The ports that the environment file names, by service."""
    addresses = config.get("endpoints", {})
    return {service: int(addresses[service].rsplit(":", 1)[1]) for service in SERVICES if addresses.get(service)}


def _load_model(directory: Path) -> Predictor:
    # Imported when the first model is deployed: scikit-learn and XGBoost take longer to import than the cloud to start.
    from infra.local.bqml import Model

    return Model.load(directory)


def _start(starting: ExitStack, service: Any) -> None:
    service.start()
    starting.callback(service.stop)
