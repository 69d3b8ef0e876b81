"""Settings of one environment, read once at the edge and frozen.

Order of look-up: what the caller passes (a flag) > environment variable `BQLOOP_<KEY>`, nested keys joined
with `__` (`BQLOOP_ENDPOINTS__BIGQUERY`) > `infra/environments/<env>.yaml`, which Terraform reads too.
The environment's name comes from the flag `--env`, else `BQLOOP_ENV`, else it is `local`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, YamlConfigSettingsSource

from etl.errors import ConfigurationError

ENVIRONMENTS = Path(__file__).resolve().parent.parent / "infra" / "environments"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Endpoints(_Section):
    """Addresses of services; an empty one means Google's own."""

    bigquery: str = ""
    bigquery_storage: str = ""
    pubsub: str = ""
    vertex: str = ""
    storage: str = ""
    functions: str = ""


class Function(_Section):
    """One Cloud Function: `entry_point` in `functions/main.py`, fed by a topic or by HTTP."""

    entry_point: str
    trigger: Literal["pubsub", "http"]
    topic: str = ""
    timeout_seconds: int = Field(ge=1, le=3600)
    memory: str = "1Gi"


class Delivery(_Section):
    """How Pub/Sub tries a stage's message again, and where it goes at last."""

    minimum_backoff_seconds: float = Field(ge=0, le=600)
    maximum_backoff_seconds: float = Field(ge=0, le=600)
    max_delivery_attempts: int = Field(ge=5, le=100)
    dead_letter_topic: str


class InferenceLog(_Section):
    """The topic that takes every inference and the table that its BigQuery subscription writes to."""

    topic: str
    table: str


class Schedule(_Section):
    """A Cloud Scheduler job: publishes `{"model": ...}` for every model to `topic`."""

    cron: str
    time_zone: str
    topic: str


class RolloutSettings(_Section):
    """Shares of traffic (percent) of a challenger, each held for a time and a number of requests."""

    steps: tuple[int, ...] = Field(min_length=1)
    hold_minutes: float = Field(ge=0)
    minimum_requests: int = Field(ge=0)


class Budgets(_Section):
    """Limits of a single query job, in bytes billed."""

    maximum_bytes_billed: int = Field(gt=0)


class Serving(_Section):
    """Machines behind the Vertex AI endpoint."""

    machine_type: str
    min_replica_count: int = Field(ge=1)
    max_replica_count: int = Field(ge=1)


class ServiceAccounts(_Section):
    """Names of the service accounts that Terraform makes."""

    pipeline: str
    service: str
    scheduler: str


class Settings(BaseSettings):
    """One environment. Make it with `load_settings`."""

    model_config = SettingsConfigDict(
        env_prefix="BQLOOP_", env_nested_delimiter="__", frozen=True, extra="forbid", protected_namespaces=()
    )

    env: str
    git_sha: str = ""
    project: str
    location: str
    region: str
    dataset: str = Field(pattern=r"^[A-Za-z0-9_]+$")
    bucket: str
    endpoint: str
    models: tuple[str, ...]
    endpoints: Endpoints = Endpoints()
    functions: dict[str, Function]
    delivery: Delivery
    inference_log: InferenceLog
    schedules: dict[str, Schedule]
    rollout: RolloutSettings
    budgets: Budgets
    serving: Serving
    service_accounts: ServiceAccounts

    @property
    def ledger_dataset(self) -> str:
        """The dataset of the loop's own tables and views."""
        return f"{self.dataset}_ledger"

    def topic_path(self, topic: str) -> str:
        """The full resource name of a topic of this environment."""
        return f"projects/{self.project}/topics/{topic}"

    def stage_topic(self, stage: str) -> str:
        """The full resource name of the topic that feeds `stage`."""
        return self.topic_path(self.functions[stage].topic)


def environment_file(env: str) -> Path:
    """The file of environment `env`.

    Raises:
        ConfigurationError: There is none; the text lists those that there are.
    """
    path = ENVIRONMENTS / f"{env}.yaml"
    known = sorted(p.stem for p in ENVIRONMENTS.glob("*.yaml"))
    if env not in known:
        raise ConfigurationError(f"there is no environment {env!r} (BQLOOP_ENV or --env). Known: {', '.join(known)}")
    return path


def load_settings(env: str | None = None, **flags: Any) -> Settings:
    """Read the settings of environment `env`, overridden by environment variables and then by `flags`.

    Raises:
        ConfigurationError: The file is missing or broken, or a key is wrong; the text names file and key.
    """
    env = env or os.environ.get("BQLOOP_ENV") or "local"
    path = environment_file(env)

    class _FromFile(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return init_settings, env_settings, YamlConfigSettingsSource(settings_cls, yaml_file=path)

    try:
        return _FromFile(env=env, **flags)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path.name} is not valid YAML: {error}") from error
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise ConfigurationError(
            f"the settings of environment {env!r} are wrong (infra/environments/{path.name}, or a BQLOOP_ variable "
            "of the key's name):\n" + "\n".join(lines)
        ) from error
