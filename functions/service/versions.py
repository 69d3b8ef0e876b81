"""The versions that answer at the endpoint, each with what it takes to compute as it does.

What a version needs never changes: its SQL, its frozen statistics, its threshold. So an instance reads them once a version
and keeps them for as long as the version has traffic; only who has traffic is looked up again and again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import structlog

from deployment.application import Application
from deployment.endpoint import Endpoint
from deployment.stages.champion import champion_of_version
from deployment.stages.run import Champion, policy_of
from deployment.stages.score import Serving
from etl.errors import StateError, UnavailableError
from etl.names import Naming, run_of
from etl.warehouse import Warehouse
from functions.service.feature_program import FeatureProgram
from functions.service.policy import ServingPolicy, kept_serving_policy, serving_policy
from functions.service.row_program import RowProgram

# Seconds that one page of a frozen table may take.
_PATIENCE = 60.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class ServedVersion:
    """One version, ready to compute.

    Attributes:
        champion: Its threshold, run and SQL; champion or on the way to be.
        computes: Its features.
        feature_names: The columns that it was trained on, in their order.
        run_id: The run that trained it.
        means: Mean in training by numeric feature.
        serving: The service's section of its policy.
    """

    champion: Champion
    computes: FeatureProgram | RowProgram
    feature_names: tuple[str, ...]
    run_id: str
    means: Mapping[str, float]
    serving: ServingPolicy

    @property
    def version(self) -> str:
        """Its version in the registry."""
        return self.champion.version

    @property
    def threshold(self) -> float:
        """The probability from which on it says yes.

        Raises:
            StateError: It predicts a number, for which there is no yes.
        """
        if self.champion.threshold is None:
            raise StateError(f"version {self.version} predicts a number, and has no threshold")
        return self.champion.threshold

    @property
    def program(self) -> FeatureProgram:
        """The features of pairs.

        Raises:
            StateError: The model is one of single rows.
        """
        if not isinstance(self.computes, FeatureProgram):
            raise StateError(f"version {self.version} is of a model of single rows: ask POST /models/<model>/predict")
        return self.computes

    @property
    def row_program(self) -> RowProgram:
        """The features of single rows.

        Raises:
            StateError: The model is one of pairs.
        """
        if not isinstance(self.computes, RowProgram):
            raise StateError(f"version {self.version} is of a model of pairs: ask POST /score or /duplicates")
        return self.computes


@dataclass(frozen=True)
class Traffic:
    """Who answers, as of one look.

    Attributes:
        versions: The versions with traffic, by version.
        shares: Percent of the traffic by version.
        deployed: The endpoint's name of the deployed model by version.
    """

    versions: Mapping[str, ServedVersion]
    shares: Mapping[str, int]
    deployed: Mapping[str, str]

    @property
    def main(self) -> ServedVersion:
        """The version with most of the traffic."""
        return self.versions[max(self.shares, key=lambda version: self.shares[version])]


class Versions:
    """The versions of one model at its endpoint.

    Args:
        app: bqloop in this environment.
        model: The model.
        endpoint: Its endpoint.
    """

    def __init__(self, app: Application, model: str, endpoint: Endpoint) -> None:
        self._app = app
        self._model = model
        self._endpoint = endpoint
        self._naming = Naming.of(app.settings, model)
        self._refresh_seconds = serving_policy_of(app, model).refresh_seconds
        self._traffic: Traffic | None = None
        self._looked_at = 0.0
        self._lock = threading.Lock()

    def traffic(self, *, look: bool = False) -> Traffic:
        """Who answers now; looked up again when the last look is old, or at once with `look`.

        A look that fails leaves what is known in force: the versions go on answering.

        Raises:
            StateError: No version is deployed yet.
            UnavailableError: What a version needs cannot be read, and no version is known.
        """
        now = time.monotonic()
        known = self._traffic
        if known is not None and not look and now - self._looked_at < self._refresh_seconds:
            return known
        if known is not None and not look and not self._lock.acquire(blocking=False):
            return known  # another request looks already
        if known is None or look:
            self._lock.acquire()
        try:
            if self._traffic is not known and self._traffic is not None:
                return self._traffic
            self._traffic = self._look(known)
        except UnavailableError as error:
            if known is None:
                raise
            log.warning("who answers could not be looked up; the known versions stay", reason=str(error))
        finally:
            self._looked_at = time.monotonic()
            self._lock.release()
        return self._traffic or self._nobody()

    def _look(self, known: Traffic | None) -> Traffic:
        deployed = {d.version_id: d for d in self._endpoint.deployed().values() if d.share > 0}
        if not deployed:
            self._nobody()
        had = dict(known.versions) if known else {}
        return Traffic(
            versions={v: had[v] if v in had else self._load(v) for v in sorted(deployed)},
            shares={v: d.share for v, d in deployed.items()},
            deployed={v: d.deployed_id for v, d in deployed.items()},
        )

    def _nobody(self) -> Traffic:
        raise StateError(
            f"no version of {self._model} is deployed yet; train and promote one first, for instance with `bqloop retrain`"
        )

    def _load(self, version: str) -> ServedVersion:
        started = time.monotonic()
        bigquery_model = self._app.registry.get(self._model, version).bigquery_model
        champion = champion_of_version(version, bigquery_model, self._app.ledger(self._model), self._model)
        policy = champion.policy
        warehouse = self._app.warehouse(self._model)
        frozen = {name: self._table(warehouse, self._naming.run_table(champion.slug, name)) for name in policy.frozen}
        columns = warehouse.columns(self._naming.run_table(champion.slug, "training_features"))
        statement = champion.templates.render(
            f"{self._model}/serve/feature_means.sql", {"champion": Serving(f"`{champion.bigquery_model}`", version)}
        )
        serving = kept_serving_policy(policy)
        computing = RowProgram if policy.rows else FeatureProgram
        loaded = ServedVersion(
            champion=champion,
            computes=computing(champion.templates, policy, serving, frozen),
            feature_names=tuple(c for c in columns if c not in policy.not_features),
            run_id=run_of(self._model, champion.slug),
            means={row["feature"]: row["mean"] for row in warehouse.read(statement)},
            serving=serving,
        )
        log.info("version loaded", version=version, seconds=round(time.monotonic() - started, 3))
        return loaded

    def _table(self, warehouse: Warehouse, full_name: str) -> pa.Table:
        try:
            rows = warehouse.client.list_rows(full_name, timeout=_PATIENCE)
            return rows.to_arrow(create_bqstorage_client=False)
        except Exception as error:
            raise UnavailableError(f"{full_name}, which a version needs, cannot be read: {error}") from error


def serving_policy_of(app: Application, model: str) -> ServingPolicy:
    """The service's section of the policy in force."""
    return serving_policy(policy_of(app.templates(model)))
