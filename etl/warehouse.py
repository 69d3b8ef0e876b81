"""The way to BigQuery: a thin layer on `google.cloud.bigquery.Client` that makes every step repeatable.

A job ID can be used once in a project, so the job ID is the lock: whoever inserts
`bqloop_<run_id>_<stage>_<step>_<attempt>` first runs the statement, everyone else gets *409 Already Exists* and
attaches to that job. A failed job is followed by the next attempt. Nothing here knows what the statements mean.
"""

from __future__ import annotations

import concurrent.futures
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import requests
from google.api_core import exceptions as api
from google.api_core import retry as api_retry
from google.cloud import bigquery

from etl.bigquery_errors import sorted_out
from etl.errors import BqloopError, StatementError, StillRunning
from etl.query_parameters import query_parameter
from etl.settings import Settings
from etl.templates import RenderedSql

_MAX_ATTEMPTS = 20
_IDLE = 30.0
_LEAST_WAIT = 1.0


@dataclass(frozen=True)
class JobKey:
    """What makes a job's ID: the same step of the same run is the same job.

    Attributes:
        run_id: The run.
        stage: The stage of the run.
        step: The statement within the stage.
    """

    run_id: str
    stage: str
    step: str

    def job_id(self, attempt: int) -> str:
        """The job's ID: `bqloop_<run_id>_<stage>_<step>_<attempt>`, at most 1,024 of `[A-Za-z0-9_-]`."""
        text = f"bqloop_{self.run_id}_{self.stage}_{self.step}_{attempt}"
        return re.sub(r"[^A-Za-z0-9_-]", "-", text)[:1024]


@dataclass(frozen=True)
class Deadline:
    """The instant (`time.monotonic`, seconds) until which a call may wait."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """The deadline that many seconds from now."""
        return cls(time.monotonic() + seconds)

    @property
    def remaining(self) -> float:
        """Seconds that are left, never negative."""
        return max(0.0, self.at - time.monotonic())


@dataclass
class Usage:
    """What a stage's jobs used: collected as they end, written to the ledger.

    Attributes:
        job_ids: IDs in the order of their end.
        bytes_billed: Sum over the jobs, bytes.
        slot_ms: Sum over the jobs, slot-milliseconds.
        rows: Rows that the jobs wrote, where BigQuery tells.
    """

    job_ids: list[str] = field(default_factory=list)
    bytes_billed: int = 0
    slot_ms: int = 0
    rows: int = 0

    def add(self, job: bigquery.QueryJob) -> None:
        """Count a finished job, once."""
        if job.job_id in self.job_ids:
            return
        self.job_ids.append(job.job_id)
        self.bytes_billed += job.total_bytes_billed or 0
        self.slot_ms += job.slot_millis or 0
        self.rows += _rows_written(job)


class Warehouse:
    """BigQuery, as the loop uses it.

    Args:
        client: A client of Google's own library.
        settings: The environment.
        maximum_bytes_billed: A model's own limit a job; the environment's limit holds as well.
    """

    def __init__(self, client: bigquery.Client, settings: Settings, *, maximum_bytes_billed: int | None = None) -> None:
        self.client = client
        self.settings = settings
        self._maximum_bytes_billed = min(
            settings.budgets.maximum_bytes_billed, maximum_bytes_billed or settings.budgets.maximum_bytes_billed
        )

    def run(
        self,
        statement: RenderedSql,
        key: JobKey,
        parameters: Mapping[str, Any] | None = None,
        *,
        deadline: Deadline | None = None,
        usage: Usage | None = None,
        rehearse: bool = True,
    ) -> bigquery.QueryJob:
        """Run a statement once, whoever calls and however often, and wait for its end.

        Args:
            statement: What to run.
            key: Which step it is.
            parameters: Values by name; only those that the statement uses are sent.
            deadline: How long this call may wait.
            usage: Where to count what the job used.
            rehearse: Dry-run it first, so that a mistake costs nothing; not worth a request for the loop's own small
                ones, nor for SQL that has run already: BigQuery itself refuses a mistake and a query over budget.

        Returns:
            The finished job.

        Raises:
            StatementError: BigQuery refuses the statement; the text gives the template's path and line.
            StillRunning: The job goes on beyond the deadline; the same call attaches to it.
            UnavailableError: BigQuery cannot be reached, is busy or failed inside.
        """
        config = self._config(statement, key, parameters)
        checked = not rehearse
        for attempt in range(1, _MAX_ATTEMPTS + 1):
            job_id = key.job_id(attempt)
            try:
                existing = self._get(job_id)
                if existing is None:
                    if not checked:
                        self.dry_run(statement, parameters)
                        checked = True
                    job = self._insert(statement.text, job_id, config)
                else:
                    job = existing
                self._wait(job, deadline)
            except (StillRunning, BqloopError):
                raise
            except Exception as error:
                failed = self._sorted_out(error, statement)
                if existing is not None and isinstance(error, api.GoogleAPICallError) and job_ended(existing):
                    continue  # an earlier call's failure: this one makes the next attempt
                raise failed from error
            if usage is not None:
                usage.add(job)
            return job
        raise StatementError(
            f"{statement.place(1)}: {_MAX_ATTEMPTS} attempts of job {key.job_id(1)} failed; see the jobs in BigQuery",
            reason="attemptsExhausted",
        )

    def find(self, key: JobKey) -> bigquery.QueryJob | None:
        """The job of a step that was started and has not failed; None where there is none.

        Raises:
            UnavailableError: BigQuery cannot be reached.
        """
        try:
            for attempt in range(1, _MAX_ATTEMPTS + 1):
                job = self._get(key.job_id(attempt))
                if job is None or not job.error_result:
                    return job
        except Exception as error:
            raise self._sorted_out(error, None) from error
        return None

    def dry_run(self, statement: RenderedSql, parameters: Mapping[str, Any] | None = None) -> int:
        """Let BigQuery check a statement without running it.

        Returns:
            The bytes that it would process.

        Raises:
            StatementError: It is wrong (the text gives the template's path and line) or over budget.
        """
        config = self._config(statement, None, parameters)
        config.dry_run = True
        config.use_query_cache = False
        try:
            job = self.client.query(statement.text, job_config=config, retry=_retry(), job_retry=None, timeout=_IDLE)
        except Exception as error:
            raise self._sorted_out(error, statement) from error
        estimate = int(job.total_bytes_processed or 0)
        if estimate > self._maximum_bytes_billed:
            raise StatementError(
                f"{statement.place(1)}: would process {estimate:,} bytes, over the limit of "
                f"{self._maximum_bytes_billed:,} (budgets.maximum_bytes_billed in the environment, budget in model.yml)",
                reason="bytesBilledLimitExceeded",
            )
        return estimate

    def read(
        self, statement: RenderedSql, parameters: Mapping[str, Any] | None = None, *, usage: Usage | None = None
    ) -> list[dict[str, Any]]:
        """Run a SELECT and fetch its few rows; a read may be repeated freely, so it needs no key.

        Raises:
            StatementError: BigQuery refuses the statement.
            UnavailableError: BigQuery cannot be reached, is busy or failed inside.
        """
        return list(self.read_arrow(statement, parameters, usage=usage).to_pylist())

    def read_arrow(
        self, statement: RenderedSql, parameters: Mapping[str, Any] | None = None, *, usage: Usage | None = None
    ) -> pa.Table:
        """As `read`, as an Arrow table with BigQuery's types."""
        config = self._config(statement, None, parameters)
        try:
            job = self.client.query(statement.text, job_config=config, retry=_retry(), job_retry=None, timeout=_IDLE)
            table = job.result(retry=_retry(), job_retry=None).to_arrow(create_bqstorage_client=False)
        except Exception as error:
            raise self._sorted_out(error, statement) from error
        if usage is not None:
            usage.add(job)
        return table

    def columns(self, full_name: str) -> list[str]:
        """Column names of a table, in order; as `column_types`."""
        return [name for name, _ in self.column_types(full_name)]

    def schema(self, full_name: str) -> list[bigquery.SchemaField]:
        """The columns of a table, with their types in full.

        Raises:
            NotFound: There is no such table (Google's own error, because it is no fault).
            StatementError: It must not be seen.
            UnavailableError: BigQuery cannot be reached.
        """
        try:
            return list(self.client.get_table(full_name, retry=_retry(), timeout=_IDLE).schema)
        except api.NotFound:
            raise
        except Exception as error:
            raise self._sorted_out(error, None) from error

    def column_types(self, full_name: str) -> list[tuple[str, str]]:
        """Name and BigQuery type of a table's columns, in order.

        Raises:
            StatementError: There is no such table.
            UnavailableError: BigQuery cannot be reached.
        """
        try:
            schema = self.client.get_table(full_name, retry=_retry(), timeout=_IDLE).schema
            return [(field.name, field.field_type) for field in schema]
        except Exception as error:
            raise self._sorted_out(error, None) from error

    def cancel_jobs(self, run_id: str) -> list[str]:
        """Cancel the jobs of a run that have not ended; their IDs.

        Raises:
            UnavailableError: BigQuery cannot be reached.
        """
        prefix, cancelled = f"bqloop_{run_id}_", []
        try:
            for state in ("pending", "running"):
                for job in self.client.list_jobs(state_filter=state, retry=_retry(), timeout=_IDLE):
                    if job.job_id.startswith(prefix):
                        self.client.cancel_job(job.job_id, location=self.settings.location, retry=_retry())
                        cancelled.append(job.job_id)
        except Exception as error:
            raise self._sorted_out(error, None) from error
        return cancelled

    def rows(self, full_name: str) -> list[dict[str, Any]]:
        """All rows of a small table.

        Raises:
            StatementError: There is no such table.
            UnavailableError: BigQuery cannot be reached.
        """
        try:
            found = self.client.list_rows(full_name, retry=_retry(), timeout=_IDLE)
            return list(found.to_arrow(create_bqstorage_client=False).to_pylist())
        except Exception as error:
            raise self._sorted_out(error, None) from error

    def _get(self, job_id: str) -> bigquery.QueryJob | None:
        try:
            return self._attach(job_id)
        except api.NotFound:
            return None

    def _attach(self, job_id: str) -> bigquery.QueryJob:
        job = self.client.get_job(job_id, location=self.settings.location, retry=_retry(), timeout=_IDLE)
        assert isinstance(job, bigquery.QueryJob), f"{job_id} is taken by another kind of job"  # noqa: S101
        return job

    def _insert(self, text: str, job_id: str, config: bigquery.QueryJobConfig) -> bigquery.QueryJob:
        try:
            return self.client.query(
                text, job_id=job_id, job_config=config, retry=_retry(), job_retry=None, timeout=_IDLE
            )
        except api.Conflict:  # somebody was faster, or this call's own first try got through
            return self._attach(job_id)

    def _wait(self, job: bigquery.QueryJob, deadline: Deadline | None) -> None:
        # A timeout of nothing is refused by the client; a second is asked even of a deadline that has passed.
        timeout = None if deadline is None else max(deadline.remaining, _LEAST_WAIT)
        try:
            job.result(retry=_retry(), job_retry=None, timeout=timeout, max_results=0)
        except (concurrent.futures.TimeoutError, requests.exceptions.Timeout) as error:
            raise StillRunning(f"job {job.job_id} is still running; the next delivery attaches to it") from error
        except api.RetryError as error:
            if deadline is None or deadline.remaining:
                raise
            raise StillRunning(f"job {job.job_id} is still running; the next delivery attaches to it") from error

    def _config(
        self, statement: RenderedSql, key: JobKey | None, parameters: Mapping[str, Any] | None
    ) -> bigquery.QueryJobConfig:
        given = dict(parameters or {})
        missing = sorted(statement.parameters - given.keys())
        if missing:
            raise StatementError(
                f"sql/{statement.path}: uses @{', @'.join(missing)}, which is no parameter here. "
                f"Known: {', '.join('@' + n for n in sorted(given))}; add others under `parameters` in model.yml",
                reason="invalidQuery",
            )
        labels = {"application": "bqloop", "template": _label(statement.path)}
        if key is not None:
            labels |= {"run": _label(key.run_id), "stage": _label(key.stage), "step": _label(key.step)}
        return bigquery.QueryJobConfig(
            query_parameters=[query_parameter(name, given[name]) for name in sorted(statement.parameters)],
            labels=labels,
            maximum_bytes_billed=self._maximum_bytes_billed,
        )

    def _sorted_out(self, error: Exception, statement: RenderedSql | None) -> BqloopError:
        """The error of ours that says what to do about one of Google's."""
        return sorted_out(error, statement, self.settings.endpoints.bigquery or "Google's address")


def _rows_written(job: bigquery.QueryJob) -> int:
    """Rows that a statement changed, else those that its last step wrote; 0 where BigQuery does not tell."""
    if job.num_dml_affected_rows is not None:
        return int(job.num_dml_affected_rows)
    plan = job.query_plan
    return int(plan[-1].records_written or 0) if plan else 0


def job_ended(job: bigquery.QueryJob) -> bool:
    """Whether a job has ended, well or not."""
    return bool(job.state == "DONE")


def _label(text: str) -> str:
    """Text as a label value: at most 63 of `[a-z0-9_-]`."""
    return re.sub(r"[^a-z0-9_-]", "-", text.lower())[:63]


def _retry() -> api_retry.Retry:
    """Google's own retry predicate, for a bounded time: beyond it the message is delivered again."""
    return bigquery.DEFAULT_RETRY.with_timeout(_IDLE)
