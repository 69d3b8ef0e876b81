"""ModelService's evaluations: metrics that somebody measured, kept beside the version that they are about."""

import json
import secrets
import sqlite3
from collections.abc import Mapping
from typing import Any

from infra.local.vertex.errors import invalid, not_found
from infra.local.vertex.fields import read_message, read_text
from infra.local.vertex.listing import list_page
from infra.local.vertex.model_versions import find_version
from infra.local.vertex.names import ModelRef, Names
from infra.local.vertex.store import Store, document, now

_ACCEPTED = ("displayName", "metricsSchemaUri", "metrics", "metadata", "sliceDimensions")


class Evaluations:
    """Import, get and list; each takes the model version that the URL names."""

    def __init__(self, store: Store, names: Names) -> None:
        self._store = store
        self._names = names

    def import_evaluation(self, ref: ModelRef, body: Mapping[str, Any]) -> dict[str, Any]:
        """`ImportModelEvaluation`: returns the evaluation with its new name."""
        request = read_message(body, "request", accepted=("modelEvaluation",), ignored=("parent",))
        evaluation = read_message(
            request.get("modelEvaluation"), "model_evaluation", accepted=_ACCEPTED, ignored=("name", "createTime")
        )
        read_text(evaluation, "metricsSchemaUri", "model_evaluation", required=True)
        if not isinstance(evaluation.get("metrics"), dict):
            raise invalid("model_evaluation.metrics is required and must be an object.")
        with self._store.transaction() as connection:
            version = find_version(connection, self._names, ref)
            identifier = str(10**18 + secrets.randbelow(9 * 10**18))
            evaluation |= {"name": f"{self._version_name(version)}/evaluations/{identifier}", "createTime": now()}
            connection.execute(
                "INSERT INTO evaluations VALUES (?, ?, ?, ?, ?)",
                (*_key(version), identifier, json.dumps(evaluation)),
            )
        return evaluation

    def get(self, ref: ModelRef, evaluation_id: str) -> dict[str, Any]:
        """`GetModelEvaluation`."""
        with self._store.transaction() as connection:
            version = find_version(connection, self._names, ref)
            row = connection.execute(
                "SELECT * FROM evaluations WHERE location = ? AND model_id = ? AND version = ? AND evaluation_id = ?",
                (*_key(version), evaluation_id),
            ).fetchone()
        if row is None:
            raise not_found(f"ModelEvaluation not found: {self._version_name(version)}/evaluations/{evaluation_id}.")
        return document(row)

    def list(self, ref: ModelRef, query: Mapping[str, str]) -> dict[str, Any]:
        """`ListModelEvaluations`."""
        with self._store.transaction() as connection:
            version = find_version(connection, self._names, ref)
            rows = connection.execute(
                "SELECT * FROM evaluations WHERE location = ? AND model_id = ? AND version = ? ORDER BY rowid",
                _key(version),
            ).fetchall()
        page, token = list_page(
            [document(row) for row in rows], query, id_field=None, filter_fields=("displayName",), order_fields=()
        )
        return {"modelEvaluations": page, "nextPageToken": token}

    def _version_name(self, version: sqlite3.Row) -> str:
        return self._names.model(ModelRef(version["location"], version["model_id"], str(version["version"])))


def _key(version: sqlite3.Row) -> tuple[str, str, int]:
    return version["location"], version["model_id"], version["version"]
