"""What the parts of the local Vertex AI ask about registered model versions: which one a name means, who serves it."""

import hashlib
import json
import sqlite3
from typing import Any

from infra.local.vertex.errors import not_found
from infra.local.vertex.names import ModelRef, Names
from infra.local.vertex.store import document

DEFAULT_ALIAS = "default"


def find_model(connection: sqlite3.Connection, names: Names, ref: ModelRef) -> sqlite3.Row:
    """The row of a model, whatever version the reference names."""
    row = connection.execute(
        "SELECT * FROM models WHERE location = ? AND model_id = ?", (ref.location, ref.model_id)
    ).fetchone()
    if row is None:
        raise not_found(f"The Model does not exist: {names.model(ModelRef(ref.location, ref.model_id))}.")
    found: sqlite3.Row = row
    return found


def find_version(connection: sqlite3.Connection, names: Names, ref: ModelRef) -> sqlite3.Row:
    """The row of the version that a reference means: by number, by alias, or the `default` one."""
    find_model(connection, names, ref)
    wanted = ref.version or DEFAULT_ALIAS
    row = connection.execute(
        "SELECT versions.* FROM versions WHERE location = :location AND model_id = :model_id AND version = "
        "CASE WHEN :is_number THEN CAST(:wanted AS INTEGER) ELSE (SELECT version FROM aliases "
        "WHERE location = :location AND model_id = :model_id AND alias = :wanted) END",
        {
            "location": ref.location,
            "model_id": ref.model_id,
            "wanted": wanted,
            "is_number": wanted.isdigit(),
        },
    ).fetchone()
    if row is None:
        raise not_found(f"The Model version does not exist: {names.model(ref)}.")
    found: sqlite3.Row = row
    return found


def versions_of(connection: sqlite3.Connection, ref: ModelRef) -> list[sqlite3.Row]:
    """The rows of all versions of a model, oldest first."""
    return connection.execute(
        "SELECT * FROM versions WHERE location = ? AND model_id = ? ORDER BY version", (ref.location, ref.model_id)
    ).fetchall()


def aliases_of(connection: sqlite3.Connection, version: sqlite3.Row) -> list[str]:
    """The aliases that are on a version."""
    rows = connection.execute(
        "SELECT alias FROM aliases WHERE location = ? AND model_id = ? AND version = ? ORDER BY alias",
        (version["location"], version["model_id"], version["version"]),
    )
    return [row["alias"] for row in rows]


def put_alias(connection: sqlite3.Connection, ref: ModelRef, alias: str, version: int) -> None:
    """Put an alias on a version, taking it from the one that has it."""
    connection.execute(
        "INSERT OR REPLACE INTO aliases VALUES (?, ?, ?, ?)", (ref.location, ref.model_id, alias, version)
    )


def deployments_of(connection: sqlite3.Connection, names: Names, ref: ModelRef) -> list[dict[str, str]]:
    """The `deployedModels` of a version: each endpoint that serves it, with the ID it has there."""
    name = names.model(ModelRef(ref.location, ref.model_id))
    return [
        {"endpoint": endpoint["name"], "deployedModelId": deployed["id"]}
        for endpoint in map(document, connection.execute("SELECT document FROM endpoints"))
        for deployed in endpoint["deployedModels"]
        if deployed["model"] == name and deployed["modelVersionId"] == ref.version
    ]


def in_use_at(connection: sqlite3.Connection, names: Names, ref: ModelRef) -> list[str]:
    """The names of the endpoints that serve a version or are just getting it."""
    pending = connection.execute("SELECT request FROM operations WHERE NOT done AND kind = 'deployModel'").fetchall()
    requests = [json.loads(row["request"]) for row in pending]
    coming = {
        request["endpoint"]
        for request in requests
        if (request["location"], request["model_id"], request["version"]) == (ref.location, ref.model_id, ref.version)
    }
    return sorted({item["endpoint"] for item in deployments_of(connection, names, ref)} | coming)


def remove_version(connection: sqlite3.Connection, version: sqlite3.Row) -> None:
    """Delete a version with its aliases and evaluations; with the last version goes the model.

    If it was the default one, the newest of those left becomes it: one version is the default at all times.
    """
    key = (version["location"], version["model_id"], version["version"])
    for table in ("versions", "aliases", "evaluations"):
        connection.execute(f"DELETE FROM {table} WHERE location = ? AND model_id = ? AND version = ?", key)
    ref = ModelRef(version["location"], version["model_id"])
    left = versions_of(connection, ref)
    if not left:
        connection.execute("DELETE FROM models WHERE location = ? AND model_id = ?", key[:2])
    elif not any(DEFAULT_ALIAS in aliases_of(connection, row) for row in left):
        put_alias(connection, ref, DEFAULT_ALIAS, left[-1]["version"])


def render_version(
    connection: sqlite3.Connection, names: Names, version: sqlite3.Row, *, versioned_name: bool = False
) -> dict[str, Any]:
    """A version as the API's `Model`; `versioned_name` puts `@version` into its name, as listing versions does."""
    ref = ModelRef(version["location"], version["model_id"], str(version["version"]))
    model, own = document(find_model(connection, names, ref)), document(version)
    rendered = {
        "name": names.model(ref if versioned_name else ModelRef(ref.location, ref.model_id)),
        "versionId": ref.version,
        "versionAliases": aliases_of(connection, version),
        **model,
        **own,
        "labels": model["labels"] | own["labels"],
        "updateTime": max(model["updateTime"], own["versionUpdateTime"]),
        "deployedModels": deployments_of(connection, names, ref),
        "modelSourceInfo": {"sourceType": "BQML"},
        "supportedDeploymentResourcesTypes": ["DEDICATED_RESOURCES"],
    }
    return rendered | {"etag": etag(rendered)}


def etag(resource: dict[str, Any]) -> str:
    """A digest of a resource, other whenever anything of it is."""
    content = {key: value for key, value in resource.items() if key != "etag"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
