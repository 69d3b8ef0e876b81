"""Where jobs are kept: a log inside the warehouse's own database, so that a job and its work are committed together.

A record is appended when a job is accepted (before it starts) and once more when it is done, inside the transaction
that holds the job's changes. After a `kill -9` the log therefore tells the truth: a job without its second record has
left nothing behind. The log is rewritten at every start to one record a job.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc

from .engine import ThreadedEngine
from .errors import BigQueryError
from .job import Job, now_ms

SCHEMA = "_bqloop"
RESULT_LIFETIME_S = 24 * 3600
"""BigQuery keeps the anonymous table of a query's result for about a day."""


class JobStore:
    """Every job by project and ID, in memory and on disk; and the results of queries."""

    def __init__(self, engine: ThreadedEngine, results: Path) -> None:
        self._engine = engine
        self._results = results
        self._jobs: dict[tuple[str, str], Job] = {}
        self._lock = threading.Lock()

    def open(self) -> list[Job]:
        """Read the log. Returns the jobs that were cut off, by now marked as failed with `jobInternalError`."""
        self._results.mkdir(parents=True, exist_ok=True)
        self._engine.execute(f'CREATE SCHEMA IF NOT EXISTS "{SCHEMA}"')
        self._engine.execute(
            f'CREATE TABLE IF NOT EXISTS "{SCHEMA}"."job_log" (project VARCHAR, job_id VARCHAR, record VARCHAR)'
        )
        cut_off = []
        for (record,) in self._engine.rows(f'SELECT record FROM "{SCHEMA}"."job_log" ORDER BY rowid'):
            job = Job.from_json(record)
            self._jobs[job.key] = job
        for job in self._jobs.values():
            if job.state != "DONE":
                job.error = {
                    "reason": "jobInternalError",
                    "message": "The job was interrupted by a restart of the local BigQuery; none of its work remains.",
                }
                job.state, job.ended = "DONE", now_ms()
                job.done.set()
                cut_off.append(job)
        self._rewrite()
        self._expire_results()
        return cut_off

    def _rewrite(self) -> None:
        records = [(job.project, job.job_id, job.to_json()) for job in self._jobs.values()]
        with self._engine.transaction():
            self._engine.execute(f'DELETE FROM "{SCHEMA}"."job_log"')
            if records:
                table = pa.table(
                    dict(zip(("project", "job_id", "record"), map(list, zip(*records, strict=True)), strict=True))
                )
                self._engine.connection.register("_bqloop_jobs", table)
                self._engine.execute(f'INSERT INTO "{SCHEMA}"."job_log" SELECT * FROM _bqloop_jobs')
                self._engine.connection.unregister("_bqloop_jobs")

    def accept(self, job: Job) -> None:
        """Take a new job in, on disk before this returns.

        Raises:
            BigQueryError: `duplicate`, if the project has used the job ID before.
        """
        with self._lock:
            if job.key in self._jobs:
                raise BigQueryError("duplicate", f"Already Exists: Job {job.project}:{job.location}.{job.job_id}")
            self._jobs[job.key] = job
        try:
            self.append(job)
        except BaseException:
            with self._lock:
                del self._jobs[job.key]
            raise

    def append(self, job: Job) -> None:
        """Write the job's present record, within the transaction that is open, if one is."""
        self._engine.execute(
            f'INSERT INTO "{SCHEMA}"."job_log" VALUES (?, ?, ?)', [job.project, job.job_id, job.to_json()]
        )

    def get(self, project: str, job_id: str) -> Job:
        """The job.

        Raises:
            BigQueryError: `notFound`.
        """
        job = self._jobs.get((project, job_id))
        if job is None:
            raise BigQueryError("notFound", f"Not found: Job {project}:{job_id}")
        return job

    def delete(self, project: str, job_id: str) -> None:
        """Forget a job's record and result; its ID stays used until the next restart, as in BigQuery for long."""
        job = self.get(project, job_id)
        with self._lock:
            del self._jobs[job.key]
        self._engine.execute(f'DELETE FROM "{SCHEMA}"."job_log" WHERE project = ? AND job_id = ?', [project, job_id])
        self.result_path(job).unlink(missing_ok=True)

    def jobs(self, project: str) -> list[Job]:
        """Every job of a project, the newest first."""
        return sorted(
            (job for job in list(self._jobs.values()) if job.project == project), key=lambda job: -job.created
        )

    def unfinished(self) -> list[Job]:
        """The jobs that are waiting or running."""
        return [job for job in list(self._jobs.values()) if not job.done.is_set()]

    # -- results -----------------------------------------------------------

    def result_path(self, job: Job) -> Path:
        """Where the rows of a query are kept, as an Arrow IPC file."""
        return self._results / job.project / f"{job.job_id}.arrow"

    def write_result(self, job: Job, table: pa.Table) -> None:
        """Keep a query's rows for its readers."""
        path = self.result_path(job)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        with pa.OSFile(str(part), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=65_536)
        part.replace(path)

    def read_result(self, job: Job) -> pa.Table:
        """The rows of a finished query, memory-mapped; an empty table without columns where it has none.

        Raises:
            BigQueryError: `notFound`, if the result has expired.
        """
        if not job.outcome.schema:
            return pa.table({})
        path = self.result_path(job)
        if not path.exists():
            if job.outcome.rows == 0:
                return pa.table({})
            raise BigQueryError("notFound", f"Not found: the result of job {job.project}:{job.job_id} has expired")
        with pa.memory_map(str(path)) as source:
            return pa.ipc.open_file(source).read_all()

    def _expire_results(self) -> None:
        oldest = time.time() - RESULT_LIFETIME_S
        for path in self._results.rglob("*"):
            if path.is_file() and (path.suffix == ".part" or path.stat().st_mtime < oldest):
                path.unlink()
