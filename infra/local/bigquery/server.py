"""The local BigQuery: puts bqemulator's parts and ours together, starts them and stops them."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from bqemulator.api.app import create_app
from bqemulator.api.dependencies import AppContext
from bqemulator.catalog.duckdb_repository import DuckDBCatalogRepository
from bqemulator.config import LogLevel, PersistenceMode, Settings
from bqemulator.domain.clock import SystemClock
from bqemulator.domain.events import EventBus
from bqemulator.grpc_api.server import build_grpc_server
from bqemulator.jobs import executor
from bqemulator.jobs.upload_session_manager import UploadSessionManager
from bqemulator.observability.metrics import MetricsRegistry
from bqemulator.row_access.policy import RowAccessPolicyManager
from bqemulator.streaming.write_stream import WriteStreamManager
from bqemulator.udf.runtime import UDFRegistry
from bqemulator.versioning.materialized_views import clear_subscriptions_for_context, hydrate_subscriptions
from fastapi import FastAPI

from ..asgi_thread import AsgiThread
from ..model_registry import ModelRegistry
from . import emulator_patches, functions
from .catalog import steady
from .costs import Costs
from .discovery import discovery_routes
from .driving import drive
from .engine import WORTH_A_CHECKPOINT, ThreadedEngine
from .extract_jobs import ExtractJobs
from .job import Job, Outcome
from .job_routes import job_routes, remove_upload
from .job_runner import JobRunner
from .job_store import JobStore
from .job_views import JobViews
from .load_jobs import LoadJobs
from .ml import MlStatements
from .ml.model_store import ModelStore
from .ml.routes import model_routes
from .query_jobs import QueryJobs
from .statements import Statements
from .table_routes import InsertIds, table_routes
from .time_travel import TimeTravel

_log = logging.getLogger(__name__)
_PURGE_SECONDS = 3600.0
# Between two looks at whether there is a pause; a log that has not grown from one to the next is one.
_LOOK_SECONDS = 0.5
_AFTER_FAILURE_SECONDS = 600.0


class BigQueryServer:
    """BigQuery's REST and Storage APIs at 127.0.0.1, with all state under `state_dir`.

    `storage_root` is the folder that stands for gs://. `registry` is told of models that ask for
    `model_registry='vertex_ai'`; without one they are refused. `port` 0 lets the system choose.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        project: str,
        registry: ModelRegistry | None = None,
        storage_root: Path,
        port: int = 0,
    ) -> None:
        self._state = Path(state_dir)
        self._project = project
        self._registry = registry
        self._storage_root = Path(storage_root)
        self._port = port
        self._parts: _Parts | None = None

    @property
    def endpoint(self) -> str:
        """REST, as `http://127.0.0.1:PORT`; known once started."""
        return self._running.web.endpoint

    @property
    def grpc_endpoint(self) -> str:
        """The Storage API, as `127.0.0.1:PORT`; known once started."""
        return self._running.grpc.endpoint

    @property
    def _running(self) -> _Parts:
        if self._parts is None:
            raise RuntimeError("the local BigQuery is not running: call start() first")
        return self._parts

    def start(self) -> None:
        """Open the state and return when requests are accepted.

        Raises:
            OSError: the port is taken.
        """
        if self._parts is None:
            parts = _Parts(self._state, self._project, self._registry, self._storage_root, self._port)
            parts.start()
            self._parts = parts

    def stop(self) -> None:
        """Cancel what runs, close the state; does nothing when not running. The port stays ours for the next start."""
        if self._parts is not None:
            parts, self._parts = self._parts, None
            self._port = int(parts.web.endpoint.rsplit(":", 1)[1])
            parts.stop()


class _Parts:
    """Everything that exists while the server runs."""

    def __init__(
        self, state: Path, project: str, registry: ModelRegistry | None, storage_root: Path, port: int
    ) -> None:
        state.mkdir(parents=True, exist_ok=True)
        storage_root.mkdir(parents=True, exist_ok=True)
        emulator_patches.apply()
        settings = Settings(
            persistence_mode=PersistenceMode.PERSISTENT,
            data_dir=state,
            default_project_id=project,
            gcs_local_root=storage_root,
            grpc_port=0,
            rest_port=0,
            enable_format_extensions=False,
            metrics_enabled=False,
            log_level=LogLevel.ERROR,
        )
        self.staging = state / "uploads"
        self.engine = ThreadedEngine(settings)
        asyncio.run(self.engine.start())
        functions.register(self.engine.connection)
        catalog = DuckDBCatalogRepository(self.engine)
        catalog.ensure_ready()
        steady(catalog)
        self.context = self._context(settings, catalog)
        cast("TimeTravel", self.context.snapshots).open()
        self.context.udf_registry.hydrate(catalog, self.engine)
        hydrate_subscriptions(self.context)
        self.store = JobStore(self.engine, state / "results")
        models = ModelStore(self.engine, state / "models", registry)
        costs = Costs(self.context, self.engine)
        ml = MlStatements(self.context, self.engine, models)
        self.statements = Statements(self.context, self.engine, ml, JobViews(self.store, self.context, costs))
        queries = QueryJobs(self.context, self.engine, self.store, self.statements, costs)
        cut_off = self.store.open()
        models.open(cut_off)
        insert_ids = InsertIds(self.engine)
        insert_ids.open()
        self.runner = JobRunner(
            self.engine,
            self.store,
            {
                "query": queries.run,
                "load": self._load(LoadJobs(self.context, self.engine)),
                "copy": self._emulated("copy", executor.execute_copy_job),
                "extract": ExtractJobs(self._emulated("extract", executor.execute_extract_job), ml.ddl).run,
            },
            own_transactions=queries.is_script,
            after_rollback=self.statements.refresh_catalog,
        )
        app = create_app(self.context)
        self._put_first(
            app,
            job_routes(self.runner, self.store, queries, self.staging, project),
            table_routes(self.context, self.engine, costs, insert_ids),
            model_routes(models, self.engine),
            discovery_routes(),
        )
        self._stopping = threading.Event()
        self.web = AsgiThread(app, name="bigquery-rest", port=port)
        self.grpc = _GrpcThread(self.context)

    def _context(self, settings: Settings, catalog: DuckDBCatalogRepository) -> AppContext:
        clock, events = SystemClock(), EventBus()
        return AppContext(
            settings=settings,
            clock=clock,
            engine=self.engine,
            catalog=catalog,
            metrics=MetricsRegistry(),
            events=events,
            udf_registry=UDFRegistry(settings),
            snapshots=TimeTravel(
                engine=self.engine,
                catalog=catalog,
                clock=clock,
                events=events,
                retention_days=settings.time_travel_retention_days,
            ),
            row_access=RowAccessPolicyManager(catalog=catalog, clock=clock),
            write_streams=WriteStreamManager(),
            upload_sessions=UploadSessionManager(
                staging_dir=self.staging,
                max_bytes=settings.upload_max_bytes,
                ttl_seconds=settings.upload_session_ttl_seconds,
                clock=clock,
            ),
        )

    def _load(self, loads: LoadJobs) -> Callable[[Job], Outcome]:
        def run(job: Job) -> Outcome:
            outcome = loads.run(job)
            remove_upload(job, self.staging)
            return outcome

        return run

    def _emulated(self, kind: str, execute: Any) -> Callable[[Job], Outcome]:
        """A kind of job that bqemulator carries out as it is, inside our transaction."""

        def run(job: Job) -> Outcome:
            destination = job.section.get("destinationTable")
            if not destination:
                drive(execute(job.project, job.job_id, job.configuration, self.context))
                return Outcome()
            job.touched_catalog = True
            key = (destination.get("projectId") or job.project, destination["datasetId"], destination["tableId"])
            history = cast("TimeTravel", self.context.snapshots)
            history.before_change(*key, append_only=job.section.get("writeDisposition") == "WRITE_APPEND")
            drive(execute(job.project, job.job_id, job.configuration, self.context))
            history.record_change(*key)
            return Outcome()

        return run

    @staticmethod
    def _put_first(app: FastAPI, *routers: Any) -> None:
        """Our routes before bqemulator's of the same path: the first that fits answers."""
        theirs = list(app.router.routes)
        app.router.routes.clear()
        for router in routers:
            app.include_router(router)
        app.router.routes.extend(theirs)

    def start(self) -> None:
        threading.Thread(target=self._keep_house, name="bigquery-housekeeping", daemon=True).start()
        self.grpc.start()
        self.web.start()

    def _keep_house(self) -> None:
        purge_at, log_bytes = 0.0, 0
        while True:
            pause = _LOOK_SECONDS
            try:
                if time.monotonic() >= purge_at:
                    purge_at = time.monotonic() + _PURGE_SECONDS
                    self.context.snapshots.purge_expired()
                before, log_bytes = log_bytes, self.engine.log_bytes
                if log_bytes == before and log_bytes > WORTH_A_CHECKPOINT and not self.store.unfinished():
                    self.engine.checkpoint()
            except Exception:  # noqa: BLE001 - logged; what is too old is only a matter of room, and a long log one of time
                if self._stopping.is_set():
                    return
                _log.exception("Keeping house failed; tried again in some minutes")
                pause = _AFTER_FAILURE_SECONDS
            if self._stopping.wait(pause):
                return

    def stop(self) -> None:
        self._stopping.set()
        self.web.stop()
        self.runner.stop()
        self.grpc.stop()
        clear_subscriptions_for_context(self.context)

        asyncio.run(self.engine.stop())


class _GrpcThread:
    """bqemulator's Storage API on an event loop of its own."""

    def __init__(self, context: AppContext) -> None:
        self._context = context
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="bigquery-grpc", daemon=True)
        self._server: Any = None
        self.endpoint = ""

    def start(self) -> None:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(20)

    async def _start(self) -> None:
        self._server, port = build_grpc_server(self._context)
        await self._server.start()
        self.endpoint = f"127.0.0.1:{port}"

    def stop(self) -> None:
        if self._server is not None:
            asyncio.run_coroutine_threadsafe(self._server.stop(grace=0.5), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
