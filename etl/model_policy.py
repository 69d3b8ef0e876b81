"""What `sql/<model>/model.yml` says: policy as data, validated, with errors that name the key.

The sections that belong to one part of the loop (`gate`, `rollout`, `serving`) are kept as plain data here and are
validated by that part, so that this module knows nothing of how decisions are made.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

import sql
from etl.errors import ConfigurationError

Parameter = bool | int | float | str | list[int] | list[float] | list[str]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Freshness(_Section):
    """When a run is worth it: enough that is new, and enough labels at all; or a champion past its age.

    `min_positives` is for classifications: monitor/freshness.sql of a regression counts no positives.
    """

    min_new_rows: int = Field(ge=0)
    min_new_labels: int = Field(ge=0)
    min_labels: int = Field(ge=2)
    min_positives: int = Field(default=1, ge=1)
    max_age_days: float = Field(gt=0)


class Concurrency(_Section):
    """What becomes of a run that is asked for while another of the model goes on; after `stale_hours` that one is given up."""

    second_run: Literal["refuse", "wait"] = "refuse"
    stale_hours: float = Field(default=24, gt=0)


class Check(_Section):
    """A check on incoming data: what a violation does to the run."""

    severity: Literal["warn", "quarantine", "fail"]


class Retention(_Section):
    """How long the tables of runs (but those of the versions in the registry), old versions and logged answers are kept."""

    run_tables_days: int = Field(default=30, ge=1)
    versions: int = Field(default=10, ge=2)
    inference_log_days: int = Field(default=365, ge=1)


class Scoring(_Section):
    """Batch scoring: after how many runs that each added to the ones before all is built anew, which bounds their number."""

    rebuild_after: int = Field(default=30, ge=1)


class Budget(_Section):
    """Limits for this model; the environment's limit holds as well."""

    maximum_bytes_billed: int | None = Field(default=None, gt=0)


class ModelPolicy(_Section):
    """`model.yml` of one continuously trained model. Make it with `load_policy`.

    Attributes:
        model: Name of the folder.
        owner: Whom to ask.
        description: What the model tells.
        task: What kind of label it has; names the folder in `sql/kinds/` that the model's SQL is completed from.
        rows: The table of raw rows, for a model of single rows: what `bqloop import rows` fills, and what
            `POST /models/<model>/predict` takes. A model of pairs has none.
        label: Column of the label.
        positive: The label's value that counts as positive; of no matter to a regression.
        keys: Columns that name a row.
        group: Column of the entity group, by which rows are split and resampled.
        split: Column of the split in the tables that still hold all of them.
        weight: Column of row weights, where there is one.
        asked: Table of `features/` with unlabelled rows as production asks about them; from it the share of positives there is
            estimated, where `parameters.expected_positive_rate` is 0.
        slices: SQL expression over the validation set by name: the parts of the rows that are looked at one by one.
        parameters: Query parameters for this model's SQL.
        frozen: Run tables of corpus statistics, which belong to the run that trained.
        shared: Run tables that say which rows are judged: a champion that is scored in a run reads the run's own.
        checks: Severity by name of a file in `checks/`.
        freshness: When a run is worth it.
        concurrency: One run at a time.
        candidates: Names of files in `train/`, in the order that breaks ties; empty for all of them.
        gate: The gate's section, validated by `deployment.gate_policy`.
        rollout: Overrides of the environment's rollout.
        serving: The service's section.
        scoring: How batch scoring goes on from day to day.
        retention: How long things are kept.
        budget: Limits of this model.
    """

    model: str
    owner: str
    description: str
    task: Literal["classification", "regression"] = "classification"
    rows: str | None = None
    label: str
    positive: bool | int | str = True
    keys: tuple[str, ...] = Field(min_length=1)
    group: str = "entity_group"
    split: str = "split"
    weight: str | None = None
    asked: str | None = None
    slices: dict[str, str] = {}
    parameters: dict[str, Parameter] = {}
    frozen: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    checks: dict[str, Check] = {}
    freshness: Freshness
    concurrency: Concurrency = Concurrency()
    candidates: tuple[str, ...] = ()
    gate: dict[str, Any]
    rollout: dict[str, Any] = {}
    serving: dict[str, Any] = {}
    scoring: Scoring = Scoring()
    retention: Retention = Retention()
    budget: Budget = Budget()

    @property
    def not_features(self) -> frozenset[str]:
        """Columns of the run's training table that are no features."""
        return frozenset({*self.keys, self.label, self.split, self.group} | ({self.weight} if self.weight else set()))


# Asked for by each template that is rendered, which takes less time than reading YAML.
@lru_cache(maxsize=32)
def parse_policy(model: str, text: str, *, source: str) -> ModelPolicy:
    """Validate the text of a `model.yml`.

    Raises:
        ConfigurationError: It is not YAML, or a key is missing, unknown or wrong; the text names `source` and the key.
    """
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{source} is not valid YAML: {error}") from error
    if not isinstance(data, dict):
        raise ConfigurationError(f"{source} must be a mapping of keys, see sql/README.md")
    try:
        return ModelPolicy(model=model, **data)
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise ConfigurationError(f"{source} is wrong:\n" + "\n".join(lines)) from error


def policy_of_sources(model: str, sources: Mapping[str, str]) -> ModelPolicy:
    """The policy among a model's sources, as `etl.templates.Templates` holds them.

    Raises:
        ConfigurationError: It is missing or wrong.
    """
    path = f"{model}/model.yml"
    return parse_policy(model, sources.get(path, ""), source=f"sql/{path}")


def load_policy(model: str, root: Path = sql.ROOT) -> ModelPolicy:
    """Read the policy of `model` from the tree of SQL.

    Raises:
        ConfigurationError: There is no such model (the text lists those that there are), or its file is wrong.
    """
    path = root / model / "model.yml"
    if not path.is_file():
        known = sorted(p.parent.name for p in root.glob("*/model.yml"))
        raise ConfigurationError(
            f"there is no model {model!r}: {model}/model.yml is missing. Known: {', '.join(known)}"
        )
    return parse_policy(model, path.read_text(encoding="utf-8"), source=f"sql/{model}/model.yml")
