"""Every prediction is confirmed before its answer leaves: by Pub/Sub, or, while Pub/Sub is away, by this machine's disk.

The disk is a bounded buffer, one file a request, which a thread empties as soon as Pub/Sub is back; the next start empties what
a killed process left. When the buffer is full the request fails: an answer that is not logged must not leave. A
message may so be published twice; `inference_id` tells, and the view `inferences` holds each once.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from google.api_core.gapic_v1.routing_header import to_grpc_metadata
from google.cloud.pubsub_v1 import PublisherClient
from google.pubsub_v1 import PublishRequest, PublishResponse, PubsubMessage

from etl.errors import UnavailableError
from etl.settings import Settings
from etl.strict_json import strict_json

log = structlog.get_logger(__name__)

_Request, _Response, _Message = PublishRequest.pb(), PublishResponse.pb(), PubsubMessage.pb()
_TIMEOUT = 3.0
# After a failure requests go to the buffer at once for that long; the thread alone goes on trying.
_PAUSE = 1.0
_BUFFER_BYTES = 64 * 1024 * 1024
# Pub/Sub's limit of a publish request is 10 MB and 1,000 messages.
_MAX_BYTES, _MAX_MESSAGES = 8_000_000, 1_000


@dataclass
class _Waiting:
    """A request whose rows wait to be published."""

    messages: Sequence[bytes]
    is_done: bool = False
    error: Exception | None = None


class InferenceLog:
    """The log of one environment's predictions.

    Args:
        settings: The environment.
        folder: The buffer's folder; by default one of the environment's own below the system's temporary folder,
            or `BQLOOP_INFERENCE_BUFFER`.
        buffer_bytes: How much the buffer holds.
    """

    def __init__(self, settings: Settings, *, folder: Path | None = None, buffer_bytes: int = _BUFFER_BYTES) -> None:
        self._topic = settings.topic_path(settings.inference_log.topic)
        default = Path(tempfile.gettempdir()) / f"bqloop-{settings.project}-{settings.inference_log.topic}"
        self._folder = folder or Path(os.environ.get("BQLOOP_INFERENCE_BUFFER") or default)
        self._buffer_bytes = buffer_bytes
        # The call itself on the client's channel. The client's own batching would make every caller wait for its thread, and
        # its wrappers take a third of what the call does.
        self._client = PublisherClient()
        self._publish_request = self._client.transport.grpc_channel.unary_unary(
            "/google.pubsub.v1.Publisher/Publish",
            request_serializer=_Request.SerializeToString,
            response_deserializer=_Response.FromString,
        )
        self._routing = [to_grpc_metadata({"topic": self._topic})]  # type: ignore[no-untyped-call] # google.api_core has no types
        self._away_until = 0.0
        self._lock = threading.Lock()
        self._publishing = threading.Lock()
        self._waiting_requests: list[_Waiting] = []
        self._emptying: threading.Thread | None = None
        if self._waiting():
            self._empty_soon()

    def confirm(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Return when all rows are kept.

        Args:
            rows: Rows of inference_log; a column of type JSON as JSON text.

        Raises:
            UnavailableError: Pub/Sub cannot be reached and the buffer is full.
        """
        messages = [strict_json(row) for row in rows]
        if time.monotonic() >= self._away_until:
            try:
                self._publish_together(messages)
            except Exception as error:  # noqa: BLE001 -- whatever kept Pub/Sub from confirming, the rows must be kept
                self._away_until = time.monotonic() + _PAUSE
                log.warning("Pub/Sub does not confirm predictions; they go to the buffer", reason=str(error))
            else:
                return
        self._keep(messages)
        self._empty_soon()

    @property
    def buffered_bytes(self) -> int:
        """How much waits in the buffer."""
        return sum(size for _, size in self._waiting())

    def _publish_together(self, messages: Sequence[bytes]) -> None:
        """Publish, and with it what other requests have brought while the one before was on its way."""
        mine = _Waiting(messages)
        with self._lock:
            self._waiting_requests.append(mine)
        with self._publishing:
            if not mine.is_done:
                with self._lock:
                    together, self._waiting_requests = self._waiting_requests, []
                try:
                    self._publish([message for one in together for message in one.messages])
                except Exception as error:  # noqa: BLE001 -- each request has to hear of it
                    for one in together:
                        one.error = error
                for one in together:
                    one.is_done = True
        if mine.error is not None:
            raise mine.error

    def _publish(self, messages: Sequence[bytes]) -> None:
        for batch in _batches(messages):
            request = _Request(topic=self._topic, messages=[_Message(data=m) for m in batch])
            self._publish_request(request, timeout=_TIMEOUT, metadata=self._routing)

    def _keep(self, messages: Sequence[bytes]) -> None:
        content = b"\n".join(messages)
        with self._lock:
            if self.buffered_bytes + len(content) > self._buffer_bytes:
                raise UnavailableError(
                    f"Pub/Sub cannot be reached, and the buffer for predictions ({self._buffer_bytes:,} bytes) is full"
                )
            self._folder.mkdir(parents=True, exist_ok=True)
            name = f"{time.time_ns():020d}-{uuid.uuid4().hex}"
            draft = self._folder / f"{name}.new"
            with draft.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            draft.rename(self._folder / f"{name}.ndjson")

    def _waiting(self) -> list[tuple[Path, int]]:
        found = []
        for path in sorted(self._folder.glob("*.ndjson")):
            try:
                found.append((path, path.stat().st_size))
            except FileNotFoundError:
                continue  # another process has just published it
        return found

    def _empty_soon(self) -> None:
        with self._lock:
            if self._emptying is None or not self._emptying.is_alive():
                self._emptying = threading.Thread(target=self._empty, name="inference-buffer", daemon=True)
                self._emptying.start()

    def _empty(self) -> None:
        while waiting := self._waiting():
            try:
                for path, _ in waiting:
                    self._publish(path.read_bytes().split(b"\n"))
                    path.unlink(missing_ok=True)
            except FileNotFoundError:
                continue
            except Exception:  # noqa: BLE001 -- Pub/Sub is still away
                time.sleep(_PAUSE)


def _batches(messages: Sequence[bytes]) -> list[list[bytes]]:
    batches: list[list[bytes]] = [[]]
    size = 0
    for message in messages:
        if batches[-1] and (size + len(message) > _MAX_BYTES or len(batches[-1]) == _MAX_MESSAGES):
            batches.append([])
            size = 0
        batches[-1].append(message)
        size += len(message)
    return batches
