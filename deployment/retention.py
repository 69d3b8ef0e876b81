"""Old versions and their BigQuery models, taken away by policy; never one that serves or may have to come back.

Deleting the BigQuery model takes its version out of the registry, too: BigQuery made both.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import requests
import structlog
from google.api_core import exceptions as api
from google.cloud import bigquery

from deployment.endpoint import Endpoint
from deployment.registry import Version
from deployment.stages.run import Run

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
