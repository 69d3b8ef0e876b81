"""Starts and stops the local Vertex AI."""

import contextlib
from collections.abc import Callable
from pathlib import Path

from infra.local.asgi_thread import AsgiThread
from infra.local.model_registry import ModelRegistry, Predictor
from infra.local.vertex.app import VertexApp
from infra.local.vertex.endpoints import Endpoints
from infra.local.vertex.evaluations import Evaluations
from infra.local.vertex.faults import Faults
from infra.local.vertex.models import Models
from infra.local.vertex.names import Names
from infra.local.vertex.operations import Operations
from infra.local.vertex.registry import BigQueryRegistry
from infra.local.vertex.serving import Serving
from infra.local.vertex.store import Store


class VertexServer:
    """The local Vertex AI of one project, for the `aiplatform_v1` clients with `transport="rest"`.

    Attributes:
        registry: Where the local BigQuery registers what it trains; works whether or not the server is started.
        faults: What tests make deployed models do; see `infra.local.vertex.faults`.

    Args:
        state_dir: Where the state is kept, over restarts and kills; made if it is missing.
        project: The project's ID.
        load_model: Makes a predictor of a registered model's folder.
        port: 0 lets the system choose.
        operation_seconds: How long deploying and undeploying take at least; minutes on Google Cloud.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        project: str,
        load_model: Callable[[Path], Predictor],
        port: int = 0,
        operation_seconds: float = 0.05,
    ) -> None:
        self._names = Names(project)
        self._store = Store(state_dir / "vertex.sqlite")
        self._load_model = load_model
        self._port = port
        self._operation_seconds = operation_seconds
        self._running: tuple[AsgiThread, Operations] | None = None
        self.registry: ModelRegistry = BigQueryRegistry(self._store, self._names)
        self.faults = Faults()

    @property
    def endpoint(self) -> str:
        """What the clients take as `api_endpoint`, "http://127.0.0.1:PORT"; known once started."""
        if self._running is None:
            raise RuntimeError("the local Vertex AI is not running: call start() first")
        return self._running[0].endpoint

    @property
    def project_number(self) -> str:
        """The made-up number of the project, which stands in the names that the service answers with."""
        return self._names.number

    def start(self) -> None:
        """Load what is deployed, carry on running operations, and return when requests are accepted."""
        if self._running is not None:
            return
        operations = Operations(self._store, seconds=self._operation_seconds)
        serving = Serving(self._load_model, self.faults)
        endpoints = Endpoints(self._store, self._names, operations, serving)
        models = Models(self._store, self._names, operations)
        evaluations = Evaluations(self._store, self._names)
        endpoints.load_all()
        app = VertexApp(self._names, models, evaluations, endpoints, operations, serving)
        server = AsgiThread(app, name="vertex", port=self._port)
        with contextlib.ExitStack() as undo:
            undo.callback(operations.stop)
            server.start()
            undo.pop_all()
        operations.resume()
        self._port = int(server.endpoint.rpartition(":")[2])  # a restart keeps the address
        self._running = (server, operations)

    def stop(self) -> None:
        """Stop serving; what is deployed or running is there again after the next start."""
        if self._running is None:
            return
        server, operations = self._running
        self._running = None
        server.stop()
        operations.stop()
