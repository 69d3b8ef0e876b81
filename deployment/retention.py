"""Old versions, their BigQuery models and the tables of old runs, taken away by policy; never what serves or may have to come back.

Deleting the BigQuery model takes its version out of the registry, too: BigQuery made both. The tables of a run stay for as
long as one of its versions does: they hold the statistics that it was trained with. Those of the newest scoring run, and of
the runs that it added to, stay as well: a view shows them.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import requests
import structlog
from google.api_core import exceptions as api
from google.cloud import bigquery

from deployment.endpoint import Endpoint
from deployment.registry import Version
from deployment.stages.run import Run
from deployment.stages.score import runs_of
from etl.names import run_slug

_END_OF_TIME = dt.datetime(9999, 12, 31, tzinfo=dt.UTC)
_RUN = re.compile(r"([a-z]+_)?\d{4}_\d\d_\d\d")
# At most so many tables at a time, so that the first tidying up after a long while ends within a function's time.
_MOST_TABLES = 300
# Aliases that say that a version is in use; those of runs do not.
_IN_USE = frozenset({"champion", "challenger", "default"})

log = structlog.get_logger(__name__)


def champions(history: Sequence[Mapping[str, Any]]) -> list[str]:
    """The champions that can be gone back to, the present one last.

    A version that was rolled back from is none of them any more.

    Args:
        history: Rows of the view production_history, newest first.

    >>> champions([{"action": "roll_back", "version": "1"}, {"action": "promote", "version": "2"},
    ...            {"action": "promote", "version": "1"}])
    ['1']
    """
    line: list[str] = []
    for row in reversed(history):
        version = row["version"]
        if row["action"] == "promote" and version not in line[-1:]:
            line.append(version)
        elif row["action"] == "roll_back":
            line = [*line[: line.index(version)], version] if version in line else [version]
    return line


def versions_to_prune(versions: Sequence[Version], *, keep: int, needed: Collection[str]) -> list[Version]:
    """The versions that may go: all but the newest `keep`, those in use, those needed, and those that bqloop did not make.

    Args:
        versions: All versions, oldest first.
        keep: How many of the newest stay in any case.
        needed: IDs of versions that must stay: deployed ones, and champions that a rollback would bring back.
    """
    return [
        version
        for version in versions[: max(len(versions) - keep, 0)]
        if version.version_id not in needed and version.bigquery_model and not _IN_USE & set(version.aliases)
    ]


def prune_versions(run: Run) -> list[str]:
    """Take away the versions that the policy's `retention.versions` leaves over.

    Returns:
        IDs of the versions that are gone. One that BigQuery refuses to delete stays, and is tried again the next time.
    """
    model = run.message.model
    # The champion before the present one is what `bqloop rollback` brings back.
    line = champions(run.ledger.read("production_history"))[-2:]
    needed = {*Endpoint(run.settings, model).deployed(), *line}
    gone = []
    for version in versions_to_prune(run.registry.versions(model), keep=run.policy.retention.versions, needed=needed):
        try:
            run.warehouse.client.delete_model(
                version.bigquery_model, retry=bigquery.DEFAULT_RETRY.with_timeout(30), not_found_ok=True
            )
        except (api.GoogleAPIError, requests.RequestException) as error:
            # Somebody else may be deleting it at this moment; it is tidying up, and the next run does it again.
            log.warning("a version could not be pruned", version=version.version_id, reason=str(error))
            continue
        gone.append(version.version_id)
    return gone


def tables_to_prune(
    tables: Mapping[str, dt.datetime], *, model: str, before: dt.datetime, kept: Collection[str]
) -> list[str]:
    """The tables of runs that may go, oldest first.

    Args:
        tables: When each table of the dataset was made, by its name.
        model: The model whose runs these are.
        before: What was made later stays.
        kept: Slugs of the runs whose tables stay however old they are.

    >>> made = {"deals__2026_01_01__key_stats": dt.datetime(2026, 1, 1), "deals": dt.datetime(2026, 1, 1)}
    >>> tables_to_prune(made, model="deals", before=dt.datetime(2026, 3, 1), kept=[])
    ['deals__2026_01_01__key_stats']
    """
    old = []
    for name, made in sorted(tables.items(), key=lambda item: item[1]):
        slug, _, short = name.removeprefix(f"{model}__").partition("__")
        # Another model's name may begin with this one's; only a day is a run.
        if name.startswith(f"{model}__") and _RUN.match(slug) and short and slug not in kept and made < before:
            old.append(name)
    return old


def prune_run_tables(run: Run) -> list[str]:
    """Delete the tables of runs that are older than the policy's `retention.run_tables_days`.

    Returns:
        Names of the tables that are gone, some hundreds at most; what is left over goes the next time.
    """
    model, client = run.message.model, run.warehouse.client
    dataset = f"{run.settings.project}.{run.settings.dataset}"
    kept = {run.slug, *_slugs_of_versions(run), *_slugs_of_scoring(run)}
    before = dt.datetime.now(dt.UTC) - dt.timedelta(days=run.policy.retention.run_tables_days)
    gone: list[str] = []
    try:
        listed = client.list_tables(dataset, retry=bigquery.DEFAULT_RETRY.with_timeout(30))
        made = {table.table_id: table.created for table in listed if table.created is not None}
        for name in tables_to_prune(made, model=model, before=before, kept=kept)[:_MOST_TABLES]:
            client.delete_table(f"{dataset}.{name}", retry=bigquery.DEFAULT_RETRY.with_timeout(30), not_found_ok=True)
            gone.append(name)
    except (api.GoogleAPIError, requests.RequestException) as error:
        log.warning("the tables of old runs could not all be deleted", deleted=len(gone), reason=str(error))
    return gone


def _slugs_of_scoring(run: Run) -> set[str]:
    """The newest scoring run and those that it added to."""
    scored = run.ledger.read("scored", before=_END_OF_TIME, run_id="")
    return {run_slug(run.message.model, run_id) for run_id in runs_of(scored)}


def _slugs_of_versions(run: Run) -> set[str]:
    """The runs that trained the versions in the registry."""
    prefix = f"{run.message.model}__"
    names = (version.bigquery_model.rsplit(".", 1)[-1] for version in run.registry.versions(run.message.model))
    return {name.removeprefix(prefix).partition("__")[0] for name in names if name.startswith(prefix)}
