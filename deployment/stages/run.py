"""One stage of one run: everything that a stage needs, gathered once.

A stage is a function from a `Run` to an `Outcome`. It reads and writes BigQuery through the run's warehouse, and tells
what it found; that it is recorded and that the next stage hears of it is `deployment.stages.protocol`'s matter.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from deployment.registry import Registry
from deployment.stages.message import StageMessage
from etl.ledger import Event, Ledger
from etl.model_policy import ModelPolicy, policy_of_sources
from etl.names import Naming, run_slug
from etl.query_parameters import Null
from etl.settings import Settings
from etl.templates import RenderedSql, Templates
from etl.warehouse import Deadline, JobKey, Usage, Warehouse


@dataclass(frozen=True)
class Outcome:
    """What a stage did.

    Attributes:
        reason: One sentence for people.
        run_state: Where the run stands now: RUNNING, or one of the ends that `sql/ledger/runs.sql` lists.
        next_stage: The stage that follows; None ends the run.
        options: What that stage has to heed.
        details: What was found and done, for the ledger; JSON-able.
        status: SUCCEEDED, or SKIPPED where there was nothing to do.
    """

    reason: str
    run_state: str = "RUNNING"
    next_stage: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    status: str = "SUCCEEDED"


@dataclass(frozen=True)
class Champion:
    """The version that serves, and what it takes to compute as it does.

    Attributes:
        version: Its version in the registry.
        bigquery_model: Full name of its BigQuery model.
        slug: The run that trained it.
        candidate: Which candidate of that run it is.
        threshold: Probability from which it says yes; None for a regression.
        templates: The SQL of its run.
        as_of: The instant of its run: it knows of nothing later.
    """

    version: str
    bigquery_model: str
    slug: str
    candidate: str
    threshold: float | None
    templates: Templates
    as_of: dt.datetime

    @cached_property
    def policy(self) -> ModelPolicy:
        """The policy of its run."""
        return policy_of(self.templates)

    @property
    def threshold_parameter(self) -> float | Null:
        """The threshold as a query parameter."""
        return Null("FLOAT64") if self.threshold is None else self.threshold


@dataclass
class Run:
    """One stage of one run.

    Attributes:
        message: What is asked.
        settings: The environment.
        templates: The SQL in force.
        warehouse: The way to BigQuery.
        ledger: The loop's record.
        registry: The versions in Vertex AI.
        deadline: Until when this call may wait.
        usage: What the jobs used so far.
    """

    message: StageMessage
    settings: Settings
    templates: Templates
    warehouse: Warehouse
    ledger: Ledger
    registry: Registry
    deadline: Deadline | None = None
    usage: Usage = field(default_factory=Usage)

    @cached_property
    def policy(self) -> ModelPolicy:
        """The policy in force."""
        return policy_of(self.templates)

    @cached_property
    def naming(self) -> Naming:
        """How things of this model are called."""
        return Naming.of(self.settings, self.message.model)

    @property
    def slug(self) -> str:
        """The run, as a part of table names."""
        return run_slug(self.message.model, self.message.run_id)

    @cached_property
    def events(self) -> list[Event]:
        """The run's events up to now, oldest first."""
        return self.ledger.events(self.message.run_id)

    def details_of(self, stage: str) -> Mapping[str, Any]:
        """What an earlier stage of this run recorded; empty where it has not ended well."""
        found = [e.details for e in self.events if e.stage == stage and e.status == "SUCCEEDED"]
        return found[-1] if found else {}

    @property
    def candidates(self) -> Sequence[str]:
        """The candidates of this model, in the order that breaks ties."""
        return self.policy.candidates or self.templates.stems(f"{self.message.model}/train")

    def parameters(self, **more: Any) -> dict[str, Any]:
        """The query parameters that every statement of the model may use, and some more."""
        message = self.message
        return {
            **self.policy.parameters,
            "as_of": message.as_of,
            "run_id": message.run_id,
            "model": message.model,
            **more,
        }

    def execute(self, statement: RenderedSql, step: str, *, rehearse: bool = True, **parameters: Any) -> Any:
        """Run a statement as a step of this stage, once, after a dry run where `rehearse` asks for it; the finished job."""
        key = JobKey(self.message.run_id, self.message.stage, step)
        return self.warehouse.run(
            statement,
            key,
            self.parameters(**parameters),
            deadline=self.deadline,
            usage=self.usage,
            rehearse=rehearse,
        )

    def drop_tables(self) -> None:
        """Delete the run's tables: those of a measurement that nobody looks at again."""
        prefix = f"{self.message.model}__{self.slug}__"
        dataset = f"{self.settings.project}.{self.settings.dataset}"
        for table in self.warehouse.client.list_tables(dataset):
            if table.table_id.startswith(prefix):
                self.warehouse.client.delete_table(table.reference, not_found_ok=True)


def policy_of(templates: Templates) -> ModelPolicy:
    """The policy among a model's sources.

    Raises:
        ConfigurationError: It is missing or wrong.
    """
    return policy_of_sources(templates.model, templates.sources)
