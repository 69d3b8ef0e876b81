"""A BigQuery job: what was asked, how far it is, what came of it, and the resource that clients read."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import duckdb

from .errors import BigQueryError


def now_ms() -> int:
    """Milliseconds since the epoch, as BigQuery counts time."""
    return time.time_ns() // 1_000_000


@dataclass
class Outcome:
    """What a finished job leaves behind, errors aside."""

    schema: list[dict[str, Any]] = field(default_factory=list)
    rows: int = 0
    statistics: dict[str, Any] = field(default_factory=dict)
    """Goes into `statistics` of the job, under the job's own kind (`query`, `load`, ...)."""
    destination: dict[str, str] | None = None
    """The table that a query has written, where it wrote one."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Goes into `statistics` itself (`scriptStatistics`, ...)."""


@dataclass
class Job:
    """One job of one project. `state` only ever goes PENDING, RUNNING, DONE."""

    project: str
    job_id: str
    location: str
    user: str
    kind: str
    configuration: dict[str, Any]
    created: int = field(default_factory=now_ms)
    state: str = "PENDING"
    started: int | None = None
    ended: int | None = None
    error: dict[str, Any] | None = None
    outcome: Outcome = field(default_factory=Outcome)
    bytes_processed: int = 0
    bytes_billed: int = 0
    intent: dict[str, Any] | None = None
    """What the job is about to change outside the database, so that an interrupted one can be undone."""
    done: threading.Event = field(default_factory=threading.Event)
    cancelled: threading.Event = field(default_factory=threading.Event)
    session: duckdb.DuckDBPyConnection | None = None
    touched_catalog: bool = False
    """Whether the transaction that is open has changed the catalog, whose cache must be read again if it is rolled back."""

    @property
    def key(self) -> tuple[str, str]:
        """What must be unique: BigQuery takes a job ID once in a project."""
        return self.project, self.job_id

    @property
    def section(self) -> dict[str, Any]:
        """The part of the configuration that belongs to the job's kind."""
        section: dict[str, Any] = self.configuration[self.kind]
        return section

    def raise_if_cancelled(self) -> None:
        """Stop here if the client has cancelled the job."""
        if self.cancelled.is_set():
            raise BigQueryError("stopped", "Job execution was cancelled: User requested cancellation")

    def cancel(self) -> None:
        """Ask the job to stop; a running DuckDB query is interrupted at once."""
        self.cancelled.set()
        session = self.session
        if session is not None:
            session.interrupt()

    def resource(self) -> dict[str, Any]:
        """The REST v2 Job resource."""
        status: dict[str, Any] = {"state": self.state}
        if self.error:
            status |= {"errorResult": self.error, "errors": [self.error]}
        configuration = dict(self.configuration)
        configuration["jobType"] = self.kind.upper()
        if self.kind == "query" and self.outcome.destination:
            configuration["query"] = {"destinationTable": self.outcome.destination} | configuration["query"]
        return {
            "kind": "bigquery#job",
            "id": f"{self.project}:{self.location}.{self.job_id}",
            "etag": f"{self.job_id}-{self.state}",
            "selfLink": f"/bigquery/v2/projects/{self.project}/jobs/{self.job_id}",
            "user_email": self.user,
            "jobReference": {"projectId": self.project, "jobId": self.job_id, "location": self.location},
            "configuration": configuration,
            "status": status,
            "statistics": self.statistics(),
        }

    def statistics(self) -> dict[str, Any]:
        """`statistics` of the resource: times in ms, bytes by estimate, slot time as the time it ran."""
        slot_ms = str(max((self.ended or now_ms()) - self.started, 0)) if self.started else "0"
        statistics: dict[str, Any] = {"creationTime": str(self.created), **self.outcome.extra}
        if self.started:
            statistics["startTime"] = str(self.started)
        if self.ended:
            statistics |= {"endTime": str(self.ended), "finalExecutionDurationMs": slot_ms}
        statistics |= {"totalBytesProcessed": str(self.bytes_processed), "totalSlotMs": slot_ms}
        section: dict[str, Any] = dict(self.outcome.statistics)
        if self.kind == "query":
            section = {
                "totalBytesProcessed": str(self.bytes_processed),
                "totalBytesBilled": str(self.bytes_billed),
                "totalSlotMs": slot_ms,
                "cacheHit": False,
                "billingTier": 1,
            } | section
        statistics[self.kind] = section
        return statistics

    def to_json(self) -> str:
        """The job as it is kept on disk."""
        return json.dumps(
            {
                "project": self.project,
                "job_id": self.job_id,
                "location": self.location,
                "user": self.user,
                "kind": self.kind,
                "configuration": self.configuration,
                "created": self.created,
                "state": self.state,
                "started": self.started,
                "ended": self.ended,
                "error": self.error,
                "outcome": vars(self.outcome),
                "bytes_processed": self.bytes_processed,
                "bytes_billed": self.bytes_billed,
                "intent": self.intent,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Job:
        """The job as it was kept on disk."""
        values = json.loads(text)
        values["outcome"] = Outcome(**values["outcome"])
        job = cls(**values)
        if job.state == "DONE":
            job.done.set()
        return job
