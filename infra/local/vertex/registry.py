"""BigQuery's door to the model registry: `CREATE MODEL … model_registry='vertex_ai'` and `DROP MODEL` come in here."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from infra.local.model_registry import RegistryError
from infra.local.vertex.model_versions import DEFAULT_ALIAS, in_use_at, put_alias, remove_version
from infra.local.vertex.names import ModelRef, Names, registry_location
from infra.local.vertex.store import Store, now

_MODEL_ID = re.compile(r"[a-z_][a-z0-9_-]{0,62}")
_ALIAS = re.compile(r"[a-z][a-zA-Z0-9-]{0,126}[a-z0-9]")


def is_alias(text: str) -> bool:
    """Whether the text can be a version alias: letters, digits and hyphens, a lower-case letter first."""
    return _ALIAS.fullmatch(text) is not None


class BigQueryRegistry:
    """`infra.local.model_registry.ModelRegistry` over the local Vertex AI's state."""

    def __init__(self, store: Store, names: Names) -> None:
        self._store = store
        self._names = names

    def register(
        self,
        *,
        project: str,
        location: str,
        vertex_ai_model_id: str,
        aliases: Sequence[str],
        bigquery_model: str,
        model_dir: Path,
        model_type: str,
        labels: Mapping[str, str],
    ) -> str:
        """See `ModelRegistry.register`."""
        if project not in (self._names.project, self._names.number):
            raise RegistryError("accessDenied", f"Permission denied on resource project {project}.")
        if not _MODEL_ID.fullmatch(vertex_ai_model_id):
            raise RegistryError(
                "invalid",
                f"Invalid vertex_ai_model_id {vertex_ai_model_id!r}: up to 63 characters of [a-z0-9_-], of which the "
                "first is no digit or hyphen.",
            )
        for alias in aliases:
            if not is_alias(alias):
                raise RegistryError(
                    "invalid",
                    f"Invalid version alias {alias!r}: it must match [a-z][a-zA-Z0-9-]{{0,126}}[a-z0-9] "
                    "(no underscores).",
                )
        ref = ModelRef(registry_location(location), vertex_ai_model_id)
        with self._store.transaction() as connection:
            known = connection.execute("SELECT * FROM versions WHERE bigquery_model = ?", (bigquery_model,)).fetchone()
            if known is not None:
                if (known["location"], known["model_id"]) != (ref.location, ref.model_id):
                    raise RegistryError(
                        "invalid", f"{bigquery_model} is already registered as {known['model_id']}, which is fixed."
                    )
                return str(known["version"])
            at = now()
            connection.execute(
                "INSERT OR IGNORE INTO models VALUES (?, ?, 1, ?)",
                (
                    ref.location,
                    ref.model_id,
                    json.dumps({"displayName": ref.model_id, "labels": {}, "createTime": at, "updateTime": at}),
                ),
            )
            (version,) = connection.execute(
                "UPDATE models SET next_version = next_version + 1 WHERE location = ? AND model_id = ? "
                "RETURNING next_version - 1",
                (ref.location, ref.model_id),
            ).fetchone()
            own = {"versionCreateTime": at, "versionUpdateTime": at, "labels": dict(labels)}
            connection.execute(
                "INSERT INTO versions VALUES (?, ?, ?, ?, ?, ?)",
                (
                    ref.location,
                    ref.model_id,
                    version,
                    bigquery_model,
                    self._store.kept_path(model_dir),
                    json.dumps(own),
                ),
            )
            first = version == 1
            for alias in {*aliases, DEFAULT_ALIAS} if first else set(aliases):
                put_alias(connection, ref, alias, version)
        return str(version)

    def unregister(self, bigquery_model: str) -> None:
        """See `ModelRegistry.unregister`."""
        with self._store.transaction() as connection:
            row = connection.execute("SELECT * FROM versions WHERE bigquery_model = ?", (bigquery_model,)).fetchone()
            if row is None:
                return
            ref = ModelRef(row["location"], row["model_id"], str(row["version"]))
            endpoints = in_use_at(connection, self._names, ref)
            if endpoints:
                raise RegistryError(
                    "invalid",
                    f"The Model {self._names.model(ref)} is deployed or being deployed at the following Endpoint(s): "
                    f"{', '.join(endpoints)}. Please undeploy the model before retry.",
                )
            remove_version(connection, row)
