"""Asking the endpoint, so that the features are always those of the version that answers.

The endpoint draws who answers, and only its answer says who it was. With one version on it there is nothing to draw. During a
canary each pair is sent once as each version computes it, all in one request: whoever answers, its own rows are among
them. Where the versions do not have the same features, one version's rows are sent and the request is repeated until that version
draws it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from deployment.endpoint import Answer, number_of, probability_of
from etl.errors import StateError, UnavailableError
from etl.model_policy import ModelPolicy
from functions.service.versions import ServedVersion, Traffic, Versions

# Draws until a version answers its own rows; with shares of a half one of a million requests needs more.
_DRAWS = 20

Instance = Mapping[str, Any]


class NotAnsweredError(UnavailableError):
    """The endpoint failed or is away; which version would have answered nobody knows."""


@dataclass(frozen=True)
class Prediction:
    """What a version says of the pairs that were asked about.

    Attributes:
        version: Who answered.
        deployed_model: The endpoint's name for it.
        rows: The feature table's rows as this version computed them, keys included.
        probabilities: One a row; of a regression the number that it says.
        endpoint_ms: How long the endpoint took in all, milliseconds.
    """

    version: ServedVersion
    deployed_model: str
    rows: Sequence[Mapping[str, Any]]
    probabilities: Sequence[float]
    endpoint_ms: float

    @cached_property
    def instances(self) -> list[dict[str, Any]]:
        """The features alone, as they were sent."""
        return [_instance(row, self.version.feature_names) for row in self.rows]


class Asker:
    """Asks the endpoint of one model.

    Args:
        versions: Who answers there.
        predict: Asks the endpoint; raises UnavailableError, or StateError where it refuses the instances.
    """

    def __init__(self, versions: Versions, predict: Callable[[Sequence[Instance]], Answer]) -> None:
        self._versions = versions
        self._predict = predict

    def ask(self, compute: Callable[[ServedVersion], Sequence[Mapping[str, Any]]]) -> Prediction:
        """Ask about the rows that `compute` gives for a version; at least one.

        Raises:
            StateError: No version is deployed, or the endpoint refuses the rows of every version.
            NotAnsweredError: The endpoint cannot be reached.
            UnavailableError: It keeps answering with versions that are unknown here.
        """
        traffic = self._versions.traffic()
        rows: dict[str, Sequence[Mapping[str, Any]]] = {}
        spent, refused = 0.0, None
        for draw in range(_DRAWS):
            asked = _asked_together(traffic) if refused is None and draw < 2 else [_drawn(traffic)]
            for version in asked:
                if version.version not in rows:
                    rows[version.version] = compute(version)
            sent = [_instance(row, v.feature_names) for v in asked for row in rows[v.version]]
            started = time.perf_counter()
            try:
                answer = self._predict(sent)
            except UnavailableError as error:
                raise NotAnsweredError(str(error)) from error
            except StateError as error:
                # The draw fell on a version with other features, or on one that this instance does not know yet.
                refused = error
                traffic = self._versions.traffic(look=True)
                if len(traffic.versions) == 1 and draw:
                    raise
                continue
            finally:
                spent += time.perf_counter() - started
            at = 0
            for version in asked:
                count = len(rows[version.version])
                if version.version == answer.version_id:
                    mine = answer.predictions[at : at + count]
                    deployed = traffic.deployed.get(version.version, version.version)
                    said = [_said(p, version.champion.policy) for p in mine]
                    return Prediction(version, deployed, rows[version.version], said, spent * 1e3)
                at += count
            if answer.version_id not in traffic.versions:
                traffic = self._versions.traffic(look=True)
        if refused is not None:
            raise refused
        raise UnavailableError(f"the endpoint did not answer with a version that this instance knows in {_DRAWS} draws")

    def ask_again(self, version: ServedVersion, sent: Sequence[Instance]) -> list[float]:
        """Ask the same version about other instances.

        Raises:
            UnavailableError: It cannot be reached, or no longer draws requests.
        """
        refused: StateError | None = None
        for _ in range(_DRAWS):
            try:
                answer = self._predict(sent)
            except StateError as error:
                refused = error  # perhaps another version drew it, which has other features
                continue
            if answer.version_id == version.version:
                return [_said(p, version.champion.policy) for p in answer.predictions]
        raise refused or UnavailableError(f"version {version.version} no longer answers")


def _said(prediction: Mapping[str, Any], policy: ModelPolicy) -> float:
    if policy.task == "regression":
        return number_of(prediction, policy.label)
    return probability_of(prediction, policy.label, policy.positive)


def _asked_together(traffic: Traffic) -> list[ServedVersion]:
    """Versions whose rows go into one request: all, where their features have the same names; else one of them."""
    versions = list(traffic.versions.values())
    if len({frozenset(v.feature_names) for v in versions}) == 1:
        return versions
    return [_drawn(traffic)]


def _drawn(traffic: Traffic) -> ServedVersion:
    names = list(traffic.versions)
    weights = [traffic.shares[n] for n in names]
    return traffic.versions[random.choices(names, weights)[0]]  # noqa: S311 -- spreads load, guards nothing


def _instance(row: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: row[name] for name in names}
