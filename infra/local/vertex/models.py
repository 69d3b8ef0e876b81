"""ModelService: reads the registry and moves aliases; making and deleting versions is BigQuery's matter."""

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from infra.local.vertex.errors import ApiError, invalid, precondition
from infra.local.vertex.fields import read_labels, read_mask, read_text
from infra.local.vertex.listing import camel, list_page
from infra.local.vertex.model_versions import (
    DEFAULT_ALIAS,
    aliases_of,
    find_model,
    find_version,
    in_use_at,
    put_alias,
    remove_version,
    render_version,
    versions_of,
)
from infra.local.vertex.names import ModelRef, Names
from infra.local.vertex.operations import Operations
from infra.local.vertex.registry import is_alias
from infra.local.vertex.store import Store, document, now

_DELETE_METADATA = "google.cloud.aiplatform.v1.DeleteOperationMetadata"


class Models:
    """The methods of ModelService; each takes what the URL names and the body, and returns the response's JSON."""

    def __init__(self, store: Store, names: Names, operations: Operations) -> None:
        self._store = store
        self._names = names
        self._operations = operations

    def get(self, ref: ModelRef) -> dict[str, Any]:
        """`GetModel`: of the version or alias in the name, else of the default version."""
        with self._store.transaction() as connection:
            return render_version(connection, self._names, find_version(connection, self._names, ref))

    def list(self, location: str, query: Mapping[str, str]) -> dict[str, Any]:
        """`ListModels`: one entry a model, shown by its default version."""
        with self._store.transaction() as connection:
            rows = connection.execute("SELECT * FROM models WHERE location = ?", (location,)).fetchall()
            models = [
                render_version(
                    connection, self._names, find_version(connection, self._names, ModelRef(location, row["model_id"]))
                )
                for row in rows
            ]
        page, token = list_page(
            models,
            query,
            id_field="model",
            filter_fields=("displayName",),
            order_fields=("displayName", "createTime", "updateTime"),
        )
        return {"models": page, "nextPageToken": token}

    def list_versions(self, ref: ModelRef, query: Mapping[str, str]) -> dict[str, Any]:
        """`ListModelVersions`, oldest first unless `orderBy` says otherwise."""
        with self._store.transaction() as connection:
            find_model(connection, self._names, ref)
            versions = [
                render_version(connection, self._names, row, versioned_name=True)
                for row in versions_of(connection, ref)
            ]
        if "orderBy" in query:  # the version's own times are what the caller means
            query = {**query, "orderBy": ", ".join(_version_order(term) for term in query["orderBy"].split(","))}
        page, token = list_page(
            versions, query, id_field=None, filter_fields=(), order_fields=("versionCreateTime", "versionUpdateTime")
        )
        return {"models": page, "nextPageToken": token}

    def merge_version_aliases(self, ref: ModelRef, body: Mapping[str, Any]) -> dict[str, Any]:
        """`MergeVersionAliases`: "x" puts x on this version, wherever it was; "-x" takes it off this version."""
        given = body.get("versionAliases", body.get("version_aliases")) or []
        if ref.version is None:
            raise invalid("The name must carry a version: …/models/MODEL@VERSION.")
        if not given or not all(isinstance(alias, str) for alias in given):
            raise invalid("version_aliases must be a non-empty list of strings.")
        added = {alias for alias in given if not alias.startswith("-")}
        removed = {alias[1:] for alias in given if alias.startswith("-")}
        malformed = sorted(alias for alias in added | removed if not is_alias(alias))
        if malformed:
            raise invalid(
                f"Invalid version alias: {', '.join(malformed)}. It must match [a-z][a-zA-Z0-9-]{{0,126}}[a-z0-9]."
            )
        added, removed = added - removed, removed - added  # the API: the two cancel each other out
        with self._store.transaction() as connection:
            row = find_version(connection, self._names, ref)
            if DEFAULT_ALIAS in removed and DEFAULT_ALIAS in aliases_of(connection, row):
                raise invalid(
                    "There must be exactly one default version: put the alias default on another version instead."
                )
            for alias in removed:
                connection.execute(
                    "DELETE FROM aliases WHERE location = ? AND model_id = ? AND alias = ? AND version = ?",
                    (ref.location, ref.model_id, alias, row["version"]),
                )
            for alias in added:
                put_alias(connection, ref, alias, row["version"])
            self._touch_version(connection, row)
            return render_version(connection, self._names, find_version(connection, self._names, ref))

    def update(self, ref: ModelRef, body: Mapping[str, Any], mask: str) -> dict[str, Any]:
        """`UpdateModel`: the model's display name, description and labels, or a version's description and labels."""
        of_version = ref.version not in (None, "-")
        accepted = ("versionDescription", "labels") if of_version else ("displayName", "description", "labels")
        changed = read_mask(mask, accepted, "a model version" if of_version else "a model")
        message = {camel(key): value for key, value in body.items()}
        with self._store.transaction() as connection:
            ref = ref if of_version else ModelRef(ref.location, ref.model_id)
            row = find_version(connection, self._names, ref)
            before = render_version(connection, self._names, row)
            if message.get("etag") not in (None, "", before["etag"]):
                raise ApiError("ABORTED", f"The etag of {self._names.model(ref)} does not match: it was changed since.")
            own = document(row) if of_version else document(find_model(connection, self._names, ref))
            for field in changed:
                own[field] = (
                    read_labels(message.get("labels"), "model")
                    if field == "labels"
                    else read_text(
                        message,
                        field,
                        "model",
                        required=field == "displayName",
                        limit=128 if field == "displayName" else 0,
                    )
                )
            if of_version:
                self._touch_version(connection, row, own)
            else:
                own["updateTime"] = now()
                connection.execute(
                    "UPDATE models SET document = ? WHERE location = ? AND model_id = ?",
                    (json.dumps(own), ref.location, ref.model_id),
                )
            return render_version(connection, self._names, find_version(connection, self._names, ref))

    def delete(self, ref: ModelRef) -> dict[str, Any]:
        """`DeleteModel` with all its versions; refused as long as BigQuery has one of them or an endpoint serves it."""
        with self._store.transaction() as connection:
            find_model(connection, self._names, ref)
            versions = versions_of(connection, ref)
            for row in versions:
                self._check_deletable(connection, row)
            for row in versions:
                remove_version(connection, row)
            return self._operations.record_done(connection, self._names.model(ref), _DELETE_METADATA, None)

    def delete_version(self, ref: ModelRef) -> dict[str, Any]:
        """`DeleteModelVersion`; refused for the only version, a deployed one, and one that BigQuery still has."""
        if ref.version is None:
            raise invalid("The name must carry a version: …/models/MODEL@VERSION.")
        with self._store.transaction() as connection:
            row = find_version(connection, self._names, ref)
            if len(versions_of(connection, ref)) == 1:
                raise precondition(
                    f"{self._names.model(ref)} is the only version of the Model: delete the Model instead."
                )
            self._check_deletable(connection, row)
            remove_version(connection, row)
            return self._operations.record_done(
                connection, self._names.model(ModelRef(ref.location, ref.model_id)), _DELETE_METADATA, None
            )

    def _check_deletable(self, connection: sqlite3.Connection, row: sqlite3.Row) -> None:
        ref = ModelRef(row["location"], row["model_id"], str(row["version"]))
        endpoints = in_use_at(connection, self._names, ref)
        if endpoints:
            raise precondition(
                f"The Model {self._names.model(ref)} is deployed or being deployed at the following Endpoint(s): "
                f"{', '.join(endpoints)}."
            )
        if self._store.path(row["model_dir"]).exists():
            raise precondition(
                f"The Model {self._names.model(ref)} comes from BigQuery ML: delete it there, with "
                f"DROP MODEL `{row['bigquery_model']}`."
            )

    def _touch_version(
        self, connection: sqlite3.Connection, row: sqlite3.Row, own: dict[str, Any] | None = None
    ) -> None:
        changed = (own if own is not None else document(row)) | {"versionUpdateTime": now()}
        connection.execute(
            "UPDATE versions SET document = ? WHERE location = ? AND model_id = ? AND version = ?",
            (json.dumps(changed), row["location"], row["model_id"], row["version"]),
        )


def _version_order(term: str) -> str:
    field, _, direction = term.strip().partition(" ")
    named = {"createTime": "versionCreateTime", "updateTime": "versionUpdateTime"}.get(camel(field), field)
    return f"{named} {direction}".strip()
