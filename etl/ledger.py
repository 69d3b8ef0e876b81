"""The loop's own record: events appended once, views read.

An event's ID is made of run, stage, status and attempt, and so is the ID of the job that appends it: a stage that
runs twice, or dies between its work and its record, leaves one event. Rows never change.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from etl.names import Naming
from etl.templates import RenderedSql, Templates
from etl.warehouse import Deadline, JobKey, Usage, Warehouse


@dataclass(frozen=True)
class Event:
    """One row of `events`.

    Attributes:
        run_id: The run.
        stage: The stage.
        status: STARTED, SUCCEEDED, SKIPPED or FAILED.
        attempt: 1 and up.
        as_of: The instant as of which the run sees the data.
        details: What the stage found and did.
        at: When it was recorded; None before it is.
        sql_sha: Hash of the SQL that ran.
        git_sha: Commit of the code that ran it.
    """

    run_id: str
    stage: str
    status: str
    attempt: int
    as_of: dt.datetime
    details: Mapping[str, Any]
    at: dt.datetime | None = None
    sql_sha: str = ""
    git_sha: str = ""

    @property
    def event_id(self) -> str:
        """The same event has the same ID."""
        return f"{self.run_id}/{self.stage}/{self.status}/{self.attempt}"


@dataclass(frozen=True)
class Succession:
    """One link of the chain of champions.

    Attributes:
        number: 1 and up.
        version: The version that became champion.
        instead_of: The champion that it followed; None for the first.
        claimant: Who asked for it: the same call that comes again is the same claimant.
    """

    number: int
    version: str
    instead_of: str | None
    claimant: str


class Ledger:
    """The ledger of one model.

    Args:
        warehouse: Where it stands.
        templates: The templates in force (any model's sources hold the ledger's own SQL).
        git_sha: Commit of the running code, "" where it is not known.
    """

    def __init__(self, warehouse: Warehouse, templates: Templates, *, git_sha: str = "") -> None:
        self._warehouse = warehouse
        self._templates = templates
        self._git_sha = git_sha
        self._naming = Naming.of(warehouse.settings, templates.model)

    def append(self, event: Event, *, usage: Usage | None = None, deadline: Deadline | None = None) -> None:
        """Record an event; once, however often this is called.

        Raises:
            UnavailableError: BigQuery cannot be reached; nothing is known to be recorded, call again.
        """
        used = usage or Usage()
        parameters = {
            "event_id": event.event_id,
            "run_id": event.run_id,
            "model": self._templates.model,
            "stage": event.stage,
            "status": event.status,
            "attempt": event.attempt,
            "as_of": event.as_of,
            "git_sha": self._git_sha,
            "sql_sha": self._templates.sha,
            "job_ids": used.job_ids,
            "bytes_billed": used.bytes_billed,
            "slot_ms": used.slot_ms,
            "details": json.dumps(event.details, default=str, allow_nan=False, sort_keys=True),
        }
        key = JobKey(event.run_id, event.stage, f"ledger-{event.status.lower()}-{event.attempt}")
        self._warehouse.run(self._render("write/event"), key, parameters, deadline=deadline, rehearse=False)

    def events(self, run_id: str) -> list[Event]:
        """The events of a run, oldest first."""
        return [
            Event(
                run_id=row["run_id"],
                stage=row["stage"],
                status=row["status"],
                attempt=row["attempt"],
                as_of=row["as_of"],
                details=json.loads(row["details"] or "{}"),
                at=row["recorded_at"],
                sql_sha=row["sql_sha"] or "",
                git_sha=row["git_sha"] or "",
            )
            for row in self.read("events_of_run", run_id=run_id)
        ]

    def keep_sources(self, run_id: str) -> None:
        """Keep the templates in force under their hash, once."""
        parameters = {
            "sql_sha": self._templates.sha,
            "model": self._templates.model,
            "paths": list(self._templates.sources),
            "contents": list(self._templates.sources.values()),
        }
        key = JobKey(run_id, "check", f"sources-{self._templates.sha[:16]}")
        self._warehouse.run(self._render("write/sources"), key, parameters, rehearse=False)

    def last_turn(self) -> int:
        """The last turn that a run of the model is known to have had, 0 before the first."""
        return int(self.read("last_turn")[0]["turn"])

    def holder_of_turn(self, turn: int, run_id: str) -> str:
        """The run that has a turn: `run_id`, if nobody has taken it before.

        Raises:
            UnavailableError: BigQuery cannot be reached; call again.
        """
        key = JobKey(f"{self._templates.model}-turn", "check", str(turn))
        job = self._warehouse.run(self._render("write/turn"), key, {"run_id": run_id, "turn": turn}, rehearse=False)
        return next(str(parameter.value) for parameter in job.query_parameters if parameter.name == "run_id")

    def last_succession(self) -> int:
        """The last link of the chain of champions that is recorded, 0 before the first."""
        return int(self.read("last_succession")[0]["succession"])

    def succession(self, number: int) -> Succession | None:
        """A link of the chain of champions; None where it is still free.

        Raises:
            UnavailableError: BigQuery cannot be reached; call again.
        """
        job = self._warehouse.find(self._link(number))
        if job is None:
            return None
        told = {parameter.name: str(parameter.value) for parameter in job.query_parameters}
        return Succession(number, told["version"], told["instead_of"] or None, told["claimant"])

    def claim_succession(self, wanted: Succession) -> None:
        """Ask for a link: whoever inserts its job first has it, and `succession` tells who that is.

        Raises:
            UnavailableError: BigQuery cannot be reached; call again.
        """
        asked = {"version": wanted.version, "instead_of": wanted.instead_of or "", "claimant": wanted.claimant}
        self._warehouse.run(self._render("write/succession"), self._link(wanted.number), asked, rehearse=False)

    def _link(self, number: int) -> JobKey:
        return JobKey(f"{self._templates.model}-succession", "rollout", str(number))

    def templates_of(self, sql_sha: str) -> Templates:
        """The templates kept under a hash; those in force where the hash is theirs."""
        if sql_sha == self._templates.sha:
            return self._templates
        rows = self.read("sources", sql_sha=sql_sha)
        return Templates(self._templates.model, {row["path"]: row["content"] for row in rows})

    def read(self, query: str, **parameters: Any) -> list[dict[str, Any]]:
        """The rows of one of `sql/ledger/read/`."""
        return self._warehouse.read(self._render(f"read/{query}"), {"model": self._templates.model, **parameters})

    def definitions(self) -> list[RenderedSql]:
        """The DDL of the ledger's tables and views, tables first."""
        tables = ("events", "sources")
        stems = self._templates.stems("ledger")
        return [self._render(name) for name in [*tables, *(s for s in stems if s not in tables)]]

    def _render(self, name: str) -> RenderedSql:
        names = self._templates.stems("ledger")
        return self._templates.render(f"ledger/{name}.sql", {"ledger": self._naming.ledger(names)})
