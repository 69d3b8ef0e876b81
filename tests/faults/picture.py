"""What a run leaves behind in ledger, BigQuery, registry and endpoint, told without names and numbers that differ by run.

Two runs that did the same give equal pictures. What a picture lacks beside the undisturbed one was lost; what it has
twice was doubled.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from google.cloud import bigquery

from deployment.endpoint import Endpoint
from deployment.stages.train import candidate_alias
from etl.names import Naming, run_slug
from tests.faults.world import World

_RUN = re.compile(r"\d{4}[-_]\d\d[-_]\d\d(?:[-_]\d+)*")
_VERSION = re.compile(r"\b(version|champion) \d+")
# Of a rollout: how many asked meanwhile is chance.
_REQUESTS = re.compile(r"\d+ requests in \d+ minutes, \d+ of all \d+ failed")
# Differs from run to run, and by how often a job was tried.
_OWN = frozenset(
    {
        "version",
        "previous_version",
        "succession",
        "undeployed",
        "last_trained",
        "job_id",
        "newest_row",
        "newest_label",
        "turn",
    }
)
_JOB = re.compile(r"^bqloop_(?P<run>.+?)_(?P<stage>[a-z]+)_(?P<step>.+)_(?P<attempt>\d+)$")
ENDED = frozenset({"SUCCEEDED", "SKIPPED"})


@dataclass
class Picture:
    """What a run left behind.

    Attributes:
        facts: Single facts by name: the state of the run, aliases, traffic, what each stage found.
        counts: How often each thing is there that has to be there once.
    """

    facts: dict[str, Any] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def lost(self, undisturbed: Picture) -> list[str]:
        """What the undisturbed run left and this one did not, or left otherwise."""
        missing = [f"{name} is not there" for name, n in undisturbed.counts.items() if self.counts[name] < n]
        other = [
            text for name, fact in undisturbed.facts.items() for text in _differences(name, self.facts.get(name), fact)
        ]
        return missing + other

    def doubled(self, undisturbed: Picture) -> list[str]:
        """What this run left more often than the undisturbed one."""
        return [f"{name}: {n} times" for name, n in self.counts.items() if n > undisturbed.counts[name]]


def picture_of(world: World, model: str, run_id: str, *, began: dt.datetime) -> Picture:
    """The picture of a run that has ended."""
    picture = Picture()
    _ledger(world, run_id, picture)
    _jobs(world, run_id, began, picture)
    if not run_id.startswith(f"{model}-score"):
        _registry(world, model, run_id, picture)
    row = next(r for r in world.app.ledger(model).read("recent_runs") if r["run_id"] == run_id)
    picture.facts["state"] = row["state"]
    return picture


def _ledger(world: World, run_id: str, picture: Picture) -> None:
    """Events as they stand in the table, not in the views that show each once."""
    settings = world.app.settings
    table = f"{settings.project}.{settings.ledger_dataset}.events"
    query = (
        f"SELECT event_id, stage, status, attempt, TO_JSON_STRING(details) AS details FROM `{table}` "
        "WHERE run_id = @run_id"
    )
    parameter = bigquery.ScalarQueryParameter("run_id", "STRING", run_id)
    config = bigquery.QueryJobConfig(query_parameters=[parameter])
    written: Counter[str] = Counter()
    for row in world.app.bigquery.query(query, job_config=config).result():
        written[row["event_id"]] += 1
        if row["status"] in ENDED:
            picture.counts[f"{row['status']} of {row['stage']}"] += 1
            picture.facts[f"what {row['stage']} found"] = _without_names(json.loads(row["details"]))
    for event_id, n in written.items():
        if n > 1:
            picture.counts[f"event {event_id}"] = n


def _jobs(world: World, run_id: str, began: dt.datetime, picture: Picture) -> None:
    """Jobs that succeeded: each step once, whoever tried it how often."""
    for job in world.app.bigquery.list_jobs(min_creation_time=began, max_results=5000):
        found = _JOB.match(job.job_id)
        if found is None or found["run"] != run_id or job.state != "DONE" or job.error_result:
            continue
        if not found["step"].startswith(("ledger-started", "ledger-failed")):
            step = _RUN.sub("*", re.sub(r"-\d+$", "", found["step"]))
            picture.counts[f"job of {found['stage']}: {step}"] += 1


def _registry(world: World, model: str, run_id: str, picture: Picture) -> None:
    app, slug = world.app, run_slug(model, run_id)
    prefix = f"{model}__{slug}__"
    for found in app.bigquery.list_models(app.settings.dataset):
        if found.model_id.startswith(prefix):
            picture.counts[f"BigQuery model {found.model_id.removeprefix(prefix)}"] += 1
    versions = app.registry.versions(model)
    own = {}
    for version in versions:
        naming = Naming.of(app.settings, model)
        for candidate in app.templates(model).stems(f"{model}/train"):
            if version.bigquery_model == naming.candidate_model(slug, candidate):
                picture.counts[f"version of {candidate}"] += 1
                own[version.version_id] = candidate
                picture.facts[f"alias of {candidate}"] = candidate_alias(slug, candidate) in version.aliases
                picture.facts[f"labels of {candidate}"] = sorted(version.labels)
    for alias in ("champion", "challenger", "default"):
        holders = [own.get(v.version_id, "of another run") for v in versions if alias in v.aliases]
        picture.facts[alias] = holders
    deployed = Endpoint(app.settings, model).deployed()
    picture.facts["traffic"] = {own.get(v, "of another run"): d.share for v, d in deployed.items()}
    for suffix in ("", "smoke"):
        for version in Endpoint(app.settings, model, suffix=suffix).deployed():
            name = f"deployed {own.get(version, 'version of another run')} {suffix}".strip()
            picture.counts[name] += 1


def _differences(name: str, found: Any, wanted: Any) -> Iterator[str]:
    """Where two facts differ, down to the single value."""
    if isinstance(found, Mapping) and isinstance(wanted, Mapping):
        for key in sorted({*found, *wanted}):
            yield from _differences(f"{name}.{key}", found.get(key), wanted.get(key))
    elif isinstance(found, list) and isinstance(wanted, list) and len(found) == len(wanted):
        for number, (one, other) in enumerate(zip(found, wanted, strict=True)):
            yield from _differences(f"{name}[{number}]", one, other)
    elif found != wanted:
        yield f"{name} is {found!r}, not {wanted!r}"


def _without_names(value: Any, key: str = "") -> Any:
    if key in _OWN or (key == "champion" and isinstance(value, str)):
        return None if value is None else "*"
    if isinstance(value, Mapping):
        return {name: _without_names(part, name) for name, part in value.items()}
    if isinstance(value, list):
        parts = [_without_names(part) for part in value]
        # Rows of a table have no order.
        return sorted(parts, key=json.dumps) if all(isinstance(part, dict) for part in parts) else parts
    if isinstance(value, str):
        return _REQUESTS.sub("* requests", _VERSION.sub(r"\1 *", _RUN.sub("*", value)))
    return value
