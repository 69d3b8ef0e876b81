"""The local Pub/Sub as one object: the state file, the gRPC port, and the threads that push and write to BigQuery."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc

from infra.local.pubsub.bigquery_subscription import BigQueryConsumer
from infra.local.pubsub.broker import Broker
from infra.local.pubsub.consumer import Consumer
from infra.local.pubsub.errors import PubSubError
from infra.local.pubsub.grpc_services import grpc_services
from infra.local.pubsub.push import IdentityToken, PushConsumer

_log = logging.getLogger(__name__)
# A streaming pull and a waiting pull hold a thread each.
_THREADS = 128
_SWEEP_SECONDS = 0.2
_RETENTION_SWEEPS = 300


class PubSubServer:
    """A Pub/Sub on `127.0.0.1`; `endpoint` is what PUBSUB_EMULATOR_HOST wants.

    The state stands in `<state_dir>/pubsub.sqlite` and survives a stop and a kill. Push subscriptions with an OIDC token
    get one from `identity_token(email, audience)`; BigQuery subscriptions write to `bigquery_endpoint`, and wait without it.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        port: int = 0,
        bigquery_endpoint: str | None = None,
        identity_token: IdentityToken | None = None,
    ) -> None:
        self._path = state_dir / "pubsub.sqlite"
        self._port = port
        self._bigquery_endpoint = bigquery_endpoint
        self._identity_token = identity_token
        self._broker: Broker | None = None
        self._server: Any = None
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._consumers: dict[str, Consumer] | None = None

    @property
    def endpoint(self) -> str:
        """`127.0.0.1:PORT`."""
        return f"127.0.0.1:{self._port}"

    @property
    def broker(self) -> Broker:
        """The Pub/Sub behind the port."""
        if self._broker is None:
            raise RuntimeError("The local Pub/Sub is not running.")
        return self._broker

    def start(self, *, deliver: bool = True) -> None:
        """Serve. With `deliver=False`, push and BigQuery subscriptions wait for `deliver()`: until endpoints are set anew."""
        self._stopped.clear()
        self._broker = Broker(self._path)
        self._broker.directory.on_change(self._reconcile)
        self._server = grpc.server(
            ThreadPoolExecutor(_THREADS, thread_name_prefix="pubsub-grpc"),
            options=[
                ("grpc.so_reuseport", 0),  # A second server on the same port must fail, not share it.
                ("grpc.max_receive_message_length", 20 * 1024 * 1024),
                ("grpc.max_send_message_length", 20 * 1024 * 1024),
            ],
        )
        self._server.add_generic_rpc_handlers(grpc_services(self._broker))
        try:
            self._port = self._server.add_insecure_port(self.endpoint)
        except RuntimeError as error:
            self._broker.close()
            raise OSError(f"The local Pub/Sub cannot listen on {self.endpoint}: is the port in use?") from error
        self._server.start()
        threading.Thread(target=self._sweep, args=(self._broker,), name="pubsub-sweep", daemon=True).start()
        if deliver:
            self.deliver()

    def deliver(self) -> None:
        """Begin to push and to write to BigQuery, for the subscriptions that stand and those to come."""
        with self._lock:
            if self._consumers is not None:
                return
            self._consumers = {}
        for subscription in self.broker.directory.subscriptions():
            self._reconcile(subscription.name)

    def hold(self) -> None:
        """Take no more messages for push and BigQuery; a push under way may still end, and is not counted if it fails."""
        with self._lock:
            consumers = list((self._consumers or {}).values())
            self._consumers = None
        for consumer in consumers:
            consumer.stop()
        for consumer in consumers:
            consumer.join(1.0)

    def stop(self) -> None:
        """Stop; what is not acknowledged is delivered after the next start."""
        if self._broker is None:
            return
        self._stopped.set()
        self.hold()
        self._server.stop(grace=0.2).wait()
        self._broker.close()
        self._broker = None

    def _reconcile(self, name: str) -> None:
        with self._lock:
            if self._consumers is None or self._broker is None:
                return
            former = self._consumers.pop(name, None)
            if former is not None:
                former.stop()
            try:
                definition = self._broker.directory.subscription(name)
            except PubSubError:
                return
            consumer = self._consumer(self._broker, definition)
            if consumer is not None:
                self._consumers[name] = consumer
                consumer.start()

    def _consumer(self, broker: Broker, definition: Any) -> Consumer | None:
        if definition.push_config.push_endpoint:
            return PushConsumer(broker, definition, self._identity_token)
        if definition.bigquery_config.table and self._bigquery_endpoint is not None:
            return BigQueryConsumer(broker, definition, self._bigquery_endpoint)
        return None

    def _sweep(self, broker: Broker) -> None:
        sweeps = 0
        while not self._stopped.wait(_SWEEP_SECONDS):
            try:
                broker.expire_deadlines()
                if sweeps % _RETENTION_SWEEPS == 0:
                    broker.expire_messages()
            except Exception:  # noqa: BLE001 - logged; without the sweep no delivery would ever come again
                if broker.closed:
                    return
                _log.exception("Expiring deliveries failed; tried again in a moment")
            sweeps += 1
