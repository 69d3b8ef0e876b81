"""Versions of a model in the Vertex AI Model Registry: which there are, who is champion, and how that changes.

BigQuery registers every candidate as a version of one Vertex model, under an alias of its run. `challenger`, `champion`
and `default` are aliases that move; here is the only place that moves them. Vertex AI has no compare-and-set for aliases,
so who is to be champion is decided in `deployment.succession`, and only then moved here.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from google.api_core import exceptions as api
from google.cloud import aiplatform_v1
from google.protobuf import field_mask_pb2

from deployment.vertex import Vertex, patience
from deployment.vertex_evaluations import evaluation_of, import_evaluation
from etl.errors import StateError
from etl.names import Naming
from etl.settings import Settings

CHAMPION, CHALLENGER, DEFAULT = "champion", "challenger", "default"


@dataclass(frozen=True)
class Version:
    """One version of a model.

    Attributes:
        version_id: "1", "2", ...
        bigquery_model: Full name of the BigQuery model; "" for a version that bqloop has not made.
        aliases: Aliases on it, sorted.
        labels: Labels on it: run, candidate, threshold, ... as `version_labels` writes them.
        created: When it was registered.
    """

    version_id: str
    bigquery_model: str
    aliases: tuple[str, ...]
    labels: Mapping[str, str]
    created: dt.datetime


class Registry:
    """The registry of one environment.

    Args:
        settings: The environment.
        vertex: Its clients, where somebody has them already.
    """

    def __init__(self, settings: Settings, vertex: Vertex | None = None) -> None:
        self._settings = settings
        self._vertex = vertex or Vertex(settings)

    def resource(self, model: str, version: str = "") -> str:
        """Vertex AI's name of a model, or of a version or alias of it."""
        return f"{self._vertex.parent}/models/{model}" + (f"@{version}" if version else "")

    def find(self, model: str, version: str) -> Version | None:
        """The version of that ID or alias; None where there is none.

        Raises:
            UnavailableError: Vertex AI cannot be reached.
        """
        with self._vertex.errors_of(f"looking for version {version} of {model}"):
            try:
                found = self._vertex.models.get_model(name=self.resource(model, version), **patience())
            except api.NotFound:
                return None
        return self._version(model, found)

    def champion(self, model: str) -> Version | None:
        """The version that serves; None before the first promotion."""
        return self.find(model, CHAMPION)

    def challenger(self, model: str) -> Version | None:
        """The version that is on its way to be champion."""
        return self.find(model, CHALLENGER)

    def get(self, model: str, version: str) -> Version:
        """The version of that ID or alias.

        Raises:
            StateError: There is none; the text lists those that there are.
        """
        found = self.find(model, version)
        if found is None:
            known = ", ".join(v.version_id for v in self.versions(model)) or "none"
            raise StateError(f"{model} has no version {version!r} in the model registry; versions: {known}")
        return found

    def versions(self, model: str) -> list[Version]:
        """All versions, oldest first; empty where the model is not registered yet."""
        with self._vertex.errors_of(f"listing the versions of {model}"):
            try:
                found = list(self._vertex.models.list_model_versions(name=self.resource(model), **patience()))
            except api.NotFound:
                return []
        return sorted((self._version(model, v) for v in found), key=lambda version: int(version.version_id))

    def put_labels(self, model: str, version: str, labels: Mapping[str, str]) -> Version:
        """Put labels on a version beside those that it has."""
        had = self.get(model, version)
        if labels.items() <= had.labels.items():
            return had
        name = self.resource(model, had.version_id)
        message = aiplatform_v1.Model(name=name, labels={**had.labels, **labels})
        mask = field_mask_pb2.FieldMask(paths=["labels"])
        with self._vertex.errors_of(f"labelling version {had.version_id} of {model}"):
            self._vertex.models.update_model(model=message, update_mask=mask, **patience())
        return self.get(model, had.version_id)

    def put_evaluation(self, model: str, version: str, name: str, metrics: Mapping[str, Any]) -> bool:
        """Keep metrics beside a version, once under that name; whether Vertex AI has taken them. Nothing rests on it.

        Raises:
            StateError: There is no such version.
        """
        resource = self.resource(model, self.get(model, version).version_id)
        return import_evaluation(self._vertex, resource, evaluation_of(name, metrics))

    def put_challenger(self, model: str, version: str) -> Version:
        """Put the alias `challenger` on a version, wherever it was."""
        return self._put_aliases(model, version, CHALLENGER)

    def drop_challenger(self, model: str) -> None:
        """Take the alias `challenger` off whatever version has it."""
        challenger = self.challenger(model)
        if challenger is not None:
            self._merge(model, challenger.version_id, f"-{CHALLENGER}")

    def put_champion(self, model: str, version: str) -> Version:
        """Make a version the champion: `champion` and `default` on it, `challenger` no more.

        A second call, after the first or after a kill in the middle of it, ends in the same state.

        Raises:
            StateError: There is no such version.
            UnavailableError: Vertex AI cannot be reached.
        """
        promoted = self._put_aliases(model, version, CHAMPION, DEFAULT)
        if CHALLENGER in promoted.aliases:
            self._merge(model, version, f"-{CHALLENGER}")
            promoted = self.get(model, version)
        return promoted

    def check_champion(self, model: str, version: str, *, expected: str | None) -> None:
        """See that a version may still be promoted on the evidence that names the expected champion.

        Raises:
            StateError: Another version is champion by now.
        """
        now = self.champion(model)
        if now is not None and now.version_id not in {version, expected}:
            raise evidence_no_longer_holds(model, version, expected=expected, champion=now.version_id)

    def _put_aliases(self, model: str, version: str, *aliases: str) -> Version:
        had = self.get(model, version)
        missing = [alias for alias in aliases if alias not in had.aliases]
        if not missing:
            return had
        self._merge(model, had.version_id, *missing)
        return self.get(model, had.version_id)

    def _merge(self, model: str, version: str, *aliases: str) -> None:
        with self._vertex.errors_of(f"moving {', '.join(aliases)} of {model} at version {version}"):
            self._vertex.models.merge_version_aliases(
                name=self.resource(model, version), version_aliases=list(aliases), **patience()
            )

    def _version(self, model: str, found: aiplatform_v1.Model) -> Version:
        labels = dict(found.labels)
        run = labels.get("run", ""), labels.get("candidate", "")
        slug, candidate = run if all(run) else _run_in(found.version_aliases)
        naming = Naming.of(self._settings, model)
        return Version(
            version_id=found.version_id,
            bigquery_model=naming.candidate_model(slug, candidate) if candidate else "",
            aliases=tuple(sorted(found.version_aliases)),
            labels=labels,
            created=cast("dt.datetime", found.version_create_time),  # proto-plus turns timestamps into datetimes
        )


def evidence_no_longer_holds(model: str, version: str, *, expected: str | None, champion: str) -> StateError:
    """The error that refuses a version which was measured against another champion than there is by now."""
    return StateError(
        f"version {version} of {model} was measured against {f'champion {expected}' if expected else 'no champion'}, "
        f"but the champion is version {champion} by now: its evidence no longer holds. "
        "Measure it again with `bqloop retrain --force`"
    )


def _run_in(aliases: Iterable[str]) -> tuple[str, str]:
    """Run and candidate in the alias that CREATE MODEL gives a version, for one that nobody has labelled yet."""
    for alias in aliases:
        found = re.fullmatch(r"run-(\d+(?:-\d+)*)-([a-z].*)", alias)
        if found:
            return found[1].replace("-", "_"), found[2].replace("-", "_")
    return "", ""


def version_labels(*, run: str, candidate: str, **facts: object) -> dict[str, str]:
    """Labels that tell what a version is: each at most 63 of `[a-z0-9_-]`, as Vertex AI asks.

    Numbers are written with `_` for the decimal point.

    >>> version_labels(run="2026_11_21", candidate="boosted_tree", threshold=0.42, git_sha="")
    {'run': '2026_11_21', 'candidate': 'boosted_tree', 'threshold': '0_4200'}
    """
    labels = {"run": run, "candidate": candidate}
    for name, fact in facts.items():
        text = f"{fact:.4f}".replace(".", "_") if isinstance(fact, float) else str(fact if fact is not None else "")
        if text:
            labels[name] = re.sub(r"[^a-z0-9_-]", "-", text.lower())[:63]
    return labels
