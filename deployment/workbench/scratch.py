"""A dataset for one try: what is built stands in it, what is read stays where it is, and nothing of it remains.

It is deleted when the block ends, by whatever: an error, Ctrl-C, a polite kill. Where the program is killed outright, its
tables and models expire by themselves, and the next try takes the empty dataset away.
"""

from __future__ import annotations

import datetime as dt
import secrets
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from types import FrameType
from typing import Any

from google.api_core import exceptions as api
from google.cloud import bigquery

from deployment.application import Application
from deployment.setup import definitions
from deployment.stages.message import StageMessage
from deployment.stages.run import Run
from deployment.stages.tables import of_run
from etl.errors import StatementError, UnavailableError
from etl.names import Naming
from etl.templates import RenderedSql

# How long what a killed try left behind stays: longer than any try, shorter than anybody forgets it.
LIFETIME = dt.timedelta(hours=12)
# Tables that a run writes before its own: a try has one of its own.
_MOVED = frozenset({"quarantined_rows"})
_LABEL, _UNTIL = "bqloop_try", "bqloop_try_until"


@dataclass(frozen=True)
class ScratchNaming(Naming):
    """Names of a try: its own tables and models in the scratch dataset, all others where they are.

    Attributes:
        scratch: The dataset.
        slug: The try's own tables bear it.
    """

    scratch: str = ""
    slug: str = ""

    def table(self, name: str) -> str:
        """Full name of a persistent table."""
        return f"{self.project}.{self.scratch}.{name}" if name in _MOVED else super().table(name)

    def run_table(self, slug: str, name: str) -> str:
        """Full name of a table of the try, or of the run that trained the champion."""
        return self._placed(slug, super().run_table(slug, name))

    def candidate_model(self, slug: str, candidate: str) -> str:
        """Full name of a model of the try."""
        return self._placed(slug, super().candidate_model(slug, candidate))

    def _placed(self, slug: str, full_name: str) -> str:
        if slug != self.slug and not slug.startswith(f"{self.slug}_"):
            return full_name
        return f"{self.project}.{self.scratch}.{full_name.rsplit('.', 1)[-1]}"


@dataclass
class ScratchRun(Run):
    """A run whose tables and models stand in a scratch dataset.

    Attributes:
        scratch: The dataset.
        tell: Hears of each step before it runs.
    """

    scratch: str = ""
    tell: Callable[[str], None] = lambda step: None

    @cached_property
    def naming(self) -> Naming:
        """How things of this try are called."""
        settings = self.settings
        return ScratchNaming(
            settings.project, settings.dataset, settings.ledger_dataset, self.message.model, self.scratch, self.slug
        )

    def execute(self, statement: RenderedSql, step: str, **parameters: Any) -> Any:
        """Run a statement as a step of the try; the finished job."""
        self.tell(step)
        return super().execute(statement, step, **parameters)


@contextmanager
def scratch_run(app: Application, model: str, tell: Callable[[str], None]) -> Iterator[ScratchRun]:
    """A run as of now in a dataset of its own, which is gone afterwards.

    Raises:
        StatementError: BigQuery refuses the dataset.
        UnavailableError: BigQuery cannot be reached.
    """
    now = dt.datetime.now(dt.UTC)
    settings = app.settings
    name = f"{settings.dataset}_try_{now:%Y%m%d_%H%M%S}_{secrets.token_hex(3)}"
    remove_expired(app.bigquery, settings.project, now)
    with _terminable():
        try:
            _create(app, name, now)
            message = StageMessage(
                model=model, run_id=f"{model}-try-{now:%Y-%m-%d-%H%M%S%f}", stage="features", as_of=now
            )
            usual = app.run(message)
            run = ScratchRun(**vars(usual), scratch=name, tell=tell)
            _make_own_tables(app, run)
            yield run
        finally:
            tell("removing the scratch dataset")
            remove(app.bigquery, f"{settings.project}.{name}")


def _make_own_tables(app: Application, run: ScratchRun) -> None:
    """Make the tables that a run writes beside its own in the scratch dataset, empty."""
    tables = of_run(run)
    for statement in definitions(app, run.message.model):
        name = statement.path.rsplit("/", 1)[-1].removesuffix(".sql")
        if run.naming.table(name).split(".")[1] == run.scratch:
            run.warehouse.read_arrow(tables.render(statement.path))


def _create(app: Application, name: str, now: dt.datetime) -> None:
    wanted = bigquery.Dataset(f"{app.settings.project}.{name}")
    wanted.location = app.settings.location
    wanted.default_table_expiration_ms = int(LIFETIME / dt.timedelta(milliseconds=1))
    wanted.description = "What `bqloop try` builds; it may be deleted at any time"
    wanted.labels = {_LABEL: "1", _UNTIL: str(int((now + LIFETIME).timestamp()))}
    try:
        app.bigquery.create_dataset(wanted, retry=bigquery.DEFAULT_RETRY.with_timeout(30))
    except api.ClientError as error:
        raise StatementError(
            f"the dataset {name} cannot be made: {error.message}. A try needs the role roles/bigquery.user in "
            f"{app.settings.project}"
        ) from error
    except (api.GoogleAPICallError, api.RetryError) as error:
        raise UnavailableError(f"BigQuery cannot be used just now: {error}") from error


def remove(client: bigquery.Client, dataset: str) -> None:
    """Delete a dataset with all that is in it; nothing where it is gone already."""
    try:
        for model in client.list_models(dataset):
            client.delete_model(model.reference, not_found_ok=True)
    except api.NotFound:
        return
    client.delete_dataset(dataset, delete_contents=True, not_found_ok=True)


def remove_expired(client: bigquery.Client, project: str, now: dt.datetime) -> list[str]:
    """Delete the scratch datasets that killed tries have left and nobody waits for any more; their names."""
    gone = []
    for item in client.list_datasets(project, filter=f"labels.{_LABEL}:1"):
        until = item.labels.get(_UNTIL, "")
        if item.labels.get(_LABEL) == "1" and until.isdigit() and int(until) < now.timestamp():
            remove(client, f"{project}.{item.dataset_id}")
            gone.append(item.dataset_id)
    return gone


@contextmanager
def _terminable() -> Iterator[None]:
    """Within the block a polite kill ends the program as Ctrl-C does: by way of every `finally`."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread may set handlers
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
