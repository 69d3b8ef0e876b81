"""From the staged Parquet file into the warehouse: a load job into a table of this call's own, then one statement a table.

The statements make the import repeatable: each adds nothing where rows of the same import are there already. Their job
IDs are the lock against a second call at the same moment, which attaches to the running job instead of adding
the rows twice. The staging table is this call's own, so that neither takes it away from the other; BigQuery drops
it after a day should this call die.
"""

from __future__ import annotations

import datetime as dt
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from google.api_core import exceptions as api
from google.api_core import retry as api_retry
from google.cloud import bigquery
from requests.exceptions import ConnectionError as RequestsConnectionError

from etl.errors import InputError, StatementError, UnavailableError
from etl.ingest.kinds import Kind
from etl.model_policy import policy_of_sources
from etl.names import Naming, quoted
from etl.templates import Templates
from etl.warehouse import JobKey, Warehouse

_STAGING_LIFETIME = dt.timedelta(days=1)
_PATIENCE = 30.0  # seconds


class Landing:
    """The way of one import into the warehouse.

    Args:
        warehouse: Where to.
        templates: The model's templates; `import/` and `tables/` are used.
        kind: What is imported.
        import_id: The import's ID; the same file imported the same way has the same.
    """

    def __init__(self, warehouse: Warehouse, templates: Templates, kind: Kind, import_id: str) -> None:
        self._warehouse = warehouse
        self._templates = templates
        self._kind = kind
        self._import_id = import_id
        self._naming = Naming.of(warehouse.settings, templates.model)
        self._staging = self._naming.table(f"import__{import_id}__{uuid.uuid4().hex[:8]}")

    def landed_at(self) -> dt.datetime | None:
        """When this very import landed; None if it has not."""
        rows = self._warehouse.read(self._render("landed"), {"import_id": self._import_id})
        return rows[0]["landed_at"] if rows else None

    def load(self, rows: Path, schema: Sequence[bigquery.SchemaField]) -> None:
        """Load the staged rows.

        Raises:
            StatementError: BigQuery refuses the file.
            UnavailableError: BigQuery cannot be reached, or is busy.
        """
        table = bigquery.Table(self._staging, schema=schema)
        table.expires = dt.datetime.now(dt.UTC) + _STAGING_LIFETIME
        config = bigquery.LoadJobConfig(
            source_format=bigquery.SourceFormat.PARQUET,
            schema=schema,
            write_disposition=bigquery.WriteDisposition.WRITE_TRUNCATE,
            labels={"application": "bqloop", "import": self._import_id},
        )
        client = self._warehouse.client
        with _bigquery_errors(self._warehouse, f"loading {self._staging}"), rows.open("rb") as file:
            client.create_table(table, retry=_patient())
            job = client.load_table_from_file(file, self._staging, job_config=config, num_retries=3)
            # The library's own waiting looks once a second; most loads are done sooner.
            for seconds in api_retry.exponential_sleep_generator(initial=0.05, maximum=2.0):
                if job.done(retry=_patient()):
                    break
                time.sleep(seconds)
            job.result(retry=_patient())

    def insert(self, statement: str, parameters: Mapping[str, Any], *, columns: Sequence[str] = ()) -> int:
        """Carry out one of `import/`.

        Returns:
            The number of rows that it added.
        """
        rendered = self._render(statement, staging=quoted(self._staging), columns=list(columns))
        with _bigquery_errors(self._warehouse, "asking for earlier imports of this file"):
            key = self._key(statement)
        job = self._warehouse.run(rendered, key, {"import_id": self._import_id, **parameters})
        return int(job.num_dml_affected_rows or 0)

    def clear(self) -> None:
        """Drop the staging table; it lapses by itself where that fails."""
        with suppress(UnavailableError, StatementError), _bigquery_errors(self._warehouse, f"dropping {self._staging}"):
            self._warehouse.client.delete_table(self._staging, not_found_ok=True, retry=_patient())

    def _key(self, statement: str) -> JobKey:
        """The first key whose job has not ended: an ended one is of an earlier import of the same file, now undone or void."""
        occasion = 1
        while True:
            key = JobKey(self._import_id, "import", f"{statement}-{occasion}")
            try:
                job = self._warehouse.client.get_job(
                    key.job_id(1), location=self._warehouse.settings.location, retry=_patient()
                )
            except api.NotFound:
                return key
            if job.state != "DONE":
                return key
            occasion += 1

    def _render(self, statement: str, **names: Any) -> Any:
        model = self._templates.model
        context = {
            "table": self._naming.tables(self._templates.stems(f"{model}/tables")),
            "target": quoted(self._naming.table(self._kind.table)),
            "keys": policy_of_sources(model, self._templates.sources).keys,
        }
        return self._templates.render(f"{model}/import/{statement}.sql", {**context, **names})


def table_schema(warehouse: Warehouse, templates: Templates, name: str) -> Sequence[bigquery.SchemaField]:
    """The columns of one of the model's tables.

    Raises:
        InputError: The table is not there yet.
        UnavailableError: BigQuery cannot be reached.
    """
    full_name = Naming.of(warehouse.settings, templates.model).table(name)
    with _bigquery_errors(warehouse, f"asking for the columns of {full_name}"):
        try:
            schema: Sequence[bigquery.SchemaField] = warehouse.client.get_table(full_name, retry=_patient()).schema
        except api.NotFound:
            raise InputError(f"there is no table {full_name}; `bqloop doctor` says how to make it") from None
    return schema


def _patient() -> api_retry.Retry:
    """Google's own retry predicate, for a bounded time: a person is waiting."""
    return bigquery.DEFAULT_RETRY.with_timeout(_PATIENCE)


@contextmanager
def _bigquery_errors(warehouse: Warehouse, doing: str) -> Iterator[None]:
    """Google's errors as ours."""
    try:
        yield
    except (api.ServerError, api.TooManyRequests, api.RetryError, ConnectionError, RequestsConnectionError) as error:
        address = warehouse.settings.endpoints.bigquery or "Google's address"
        raise UnavailableError(f"BigQuery at {address} cannot be used just now ({doing}): {error}") from error
    except api.GoogleAPICallError as error:
        raise StatementError(f"{doing}: {error.message}", reason=type(error).__name__) from error
