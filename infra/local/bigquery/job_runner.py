"""Runs jobs on worker threads: accepted jobs answer at once, run side by side, and end exactly once.

What a job does is given by a handler for its kind; this module knows nothing of SQL. A handler's changes to the
database and the job's final record are one transaction. A statement that loses a race against another transaction
(DuckDB does not let two change the same rows) is run again from the start, as BigQuery queues concurrent DML.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import duckdb
from bqemulator.domain.errors import DomainError
from sqlglot.errors import SqlglotError

from .emulator_errors import domain_error
from .engine import ThreadedEngine
from .errors import BigQueryError, error_proto
from .job import Job, Outcome, now_ms
from .job_store import JobStore

MAX_RUNNING = 16
MAX_ATTEMPTS = 50

Handler = Callable[[Job], Outcome]
"""Does a job's work in this thread's session. Opens no transaction, unless the job is one of `own_transactions`."""

_log = logging.getLogger(__name__)


class JobRunner:
    """Takes jobs in, runs them, and keeps their record."""

    def __init__(
        self,
        engine: ThreadedEngine,
        store: JobStore,
        handlers: Mapping[str, Handler],
        *,
        own_transactions: Callable[[Job], bool],
        after_rollback: Callable[[Job], None],
    ) -> None:
        """`own_transactions` tells which jobs commit by themselves (scripts); `after_rollback` refreshes caches."""
        self._engine = engine
        self._store = store
        self._handlers = handlers
        self._own_transactions = own_transactions
        self._after_rollback = after_rollback
        self._pool = ThreadPoolExecutor(MAX_RUNNING, thread_name_prefix="bigquery-job")
        self._stopping = threading.Event()

    def submit(self, job: Job) -> Job:
        """Accept a job and start it as soon as a worker is free.

        Raises:
            BigQueryError: `duplicate` for a used job ID.
        """
        if job.kind not in self._handlers:
            raise BigQueryError("invalid", f"Job configuration must contain one of: {', '.join(self._handlers)}")
        self._store.accept(job)
        self._pool.submit(self._run, job)
        return job

    def stop(self) -> None:
        """Cancel what runs and wait for it to end."""
        self._stopping.set()
        for job in self._store.unfinished():
            job.cancel()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _run(self, job: Job) -> None:
        job.started = now_ms()
        job.state = "RUNNING"
        job.session = self._engine.connection
        try:
            self._attempt_until_settled(job)
        except DomainError as error:
            self._fail(job, error)
        except (SqlglotError, duckdb.Error) as error:
            self._fail(job, domain_error(error))
        except Exception as error:  # noqa: BLE001  # whatever goes wrong must end the job, or its client waits for ever
            _log.exception("job %s failed unexpectedly", job.job_id)
            self._fail(job, BigQueryError("internalError", f"{type(error).__name__}: {error}"))
        finally:
            job.session = None
            job.done.set()

    def _attempt_until_settled(self, job: Job) -> None:
        for attempt in range(1, MAX_ATTEMPTS + 1):
            job.raise_if_cancelled()
            try:
                self._attempt(job)
            except (duckdb.Error, DomainError) as error:
                cause = _database_error(error)
                if isinstance(cause, duckdb.InterruptException):
                    job.raise_if_cancelled()
                if not _lost_a_race(cause) or attempt == MAX_ATTEMPTS:
                    raise (domain_error(error) if isinstance(error, duckdb.Error) else error) from error
                time.sleep(random.uniform(0, 0.01 * min(attempt, 10)))  # noqa: S311  # spreads rivals, guards nothing
            else:
                return

    def _attempt(self, job: Job) -> None:
        handler = self._handlers[job.kind]
        if self._own_transactions(job):
            outcome = handler(job)
            job.raise_if_cancelled()
            self._succeed(job, outcome)
            return
        self._engine.begin()
        try:
            outcome = handler(job)
            job.raise_if_cancelled()
            self._succeed(job, outcome, commit=True)
        except BaseException:
            job.state, job.ended, job.outcome = "RUNNING", None, Outcome()
            self._engine.rollback()
            self._after_rollback(job)
            raise

    def _succeed(self, job: Job, outcome: Outcome, *, commit: bool = False) -> None:
        job.outcome, job.ended = outcome, now_ms()
        state, job.state = job.state, "DONE"
        try:
            self._store.append(job)
            job.state = state  # readers must not see DONE before the work can be read
            if commit:
                self._engine.commit()
        finally:
            job.state = state
        job.state = "DONE"

    def _fail(self, job: Job, error: DomainError) -> None:
        job.error, job.ended = error_proto(error), now_ms()
        job.state = "DONE"
        if not self._stopping.is_set():
            self._store.append(job)


def _database_error(error: BaseException) -> BaseException:
    """The DuckDB error at the root of a chain, or the error itself."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, duckdb.Error):
            return seen
        seen = seen.__cause__
    return error


def _lost_a_race(error: BaseException) -> bool:
    """Whether DuckDB refused because another transaction was first; the same work may succeed a moment later."""
    if isinstance(error, duckdb.TransactionException):
        return "onflict" in str(error) or "aborted" not in str(error)
    return isinstance(error, duckdb.ConstraintException) and "PRIMARY KEY" in str(error)
