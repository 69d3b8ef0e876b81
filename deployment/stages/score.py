"""Stage `score`: batch-score what came in with the champion, and cluster the duplicates.

What earlier runs of the same champion have scored stands in their tables, and a run adds what is new. Which runs those are
is in the ledger: a run that died left no event, so nobody builds on its tables.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from deployment.stages.champion import find_champion
from deployment.stages.run import Outcome, Run
from deployment.stages.tables import with_frozen
from etl.names import run_slug

# A run's tables expire; what is built on them is built anew some days before.
_SPARE_DAYS = 7


@dataclass(frozen=True)
class Serving:
    """What a template in `predict/` may ask about the champion.

    Attributes:
        model: Back-quoted full name of its BigQuery model.
        version: Its version in the registry.
    """

    model: str
    version: str


@dataclass(frozen=True)
class Earlier:
    """What `macros/days.sql` has to know.

    Attributes:
        slug: The run's own slug.
        runs: Slugs of the runs that this one adds to, oldest first; empty where all is built anew.
    """

    slug: str
    runs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Chain:
    """The runs of one champion, each of which added to those before it.

    Attributes:
        run_ids: The runs whose tables stand, oldest first.
        instants: The instants as of which deals were first seen: those of the runs, and of runs that a rebuild replaced.
        tables: Short names of the tables that each of them has.
    """

    run_ids: tuple[str, ...] = ()
    instants: tuple[dt.datetime, ...] = ()
    tables: tuple[str, ...] = ()


def score(run: Run) -> Outcome:
    """Build all of `predict/` with the champion's own SQL, statistics and threshold."""
    champion = find_champion(run.registry, run.ledger, run.message.model)
    if champion is None:
        return Outcome("there is no champion yet, so there is nothing to score with", "SKIPPED", status="SKIPPED")
    model, as_of = run.message.model, run.message.as_of
    rows = run.ledger.read("scored", before=as_of, run_id=run.message.run_id)
    chain = chain_of(rows, champion.bigquery_model)
    adds = not run.message.options.get("rebuild") and _stands(run, chain)
    added_to = chain.run_ids if adds else ()
    earlier = Earlier(run.slug, tuple(run_slug(model, run_id) for run_id in added_to))
    serving = Serving(f"`{champion.bigquery_model}`", champion.version)
    tables = with_frozen(run, champion, champion=serving, earlier=earlier)
    targets = champion.templates.stems(f"{model}/predict")
    built = tables.build(
        targets,
        rehearse=not adds,  # the champion's own SQL has run when it scored all anew; a dry run doubles a day's requests
        threshold=champion.threshold_parameter,
        version=champion.version,
        rounds=[as_of] if adds else [*chain.instants, as_of],
        previous=chain.instants[-1] if adds else as_of,
    )
    details: dict[str, Any] = {
        "tables": built,
        "standing": sorted(_tables_of(run, run.slug)[run.slug]),
        "bigquery_model": champion.bigquery_model,
        "adds_to": list(added_to),
        "instants": [instant.isoformat() for instant in (*chain.instants, as_of)],
    }
    how = f"adding to {len(added_to)} earlier runs" if adds else "all anew"
    return Outcome(f"scored with version {champion.version}, {how}: {', '.join(targets)}", "SCORED", details=details)


def chain_of(rows: Sequence[dict[str, Any]], bigquery_model: str) -> Chain:
    """The chain that the newest scoring run belongs to; an empty one where that run's champion was another.

    Args:
        rows: The scoring runs that ended well, newest first: run_id and details (JSON).
        bigquery_model: The champion's.
    """
    details = json.loads(rows[0]["details"]) if rows else {}
    if details.get("bigquery_model") != bigquery_model:
        return Chain()
    instants = tuple(dt.datetime.fromisoformat(text) for text in details["instants"])
    return Chain(runs_of(rows), instants, tuple(details["standing"]))


def runs_of(rows: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """The newest scoring run, last, behind those that it added to; `rows` as of `chain_of`."""
    return tuple(run_id for row in rows[:1] for run_id in (*json.loads(row["details"])["adds_to"], row["run_id"]))


def _stands(run: Run, chain: Chain) -> bool:
    """Whether all tables of a chain are there, few enough and far enough from their end."""
    scoring = run.policy.scoring
    if not chain.run_ids or len(chain.run_ids) >= scoring.rebuild_after:
        return False
    oldest = chain.instants[-len(chain.run_ids)]
    age = (run.message.as_of - oldest) / dt.timedelta(days=1)
    if age > run.policy.retention.run_tables_days - _SPARE_DAYS:
        return False
    slugs = [run_slug(run.message.model, run_id) for run_id in chain.run_ids]
    standing = _tables_of(run, *slugs)
    return all(set(chain.tables) <= standing[slug] for slug in slugs)


def _tables_of(run: Run, *slugs: str) -> dict[str, set[str]]:
    """Short names of the tables that stand under the name of each run."""
    listed = run.warehouse.client.list_tables(f"{run.settings.project}.{run.settings.dataset}")
    names = [table.table_id for table in listed]
    prefixes = {slug: run.naming.run_table(slug, "").rsplit(".", 1)[-1] for slug in slugs}
    return {
        slug: {name.removeprefix(prefix) for name in names if name.startswith(prefix)}
        for slug, prefix in prefixes.items()
    }
