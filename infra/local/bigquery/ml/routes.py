"""The REST routes for models.

https://cloud.google.com/bigquery/docs/reference/rest/v2/models
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import duckdb
from fastapi import APIRouter, Body, Query, Response

from ..engine import ThreadedEngine
from ..job import now_ms
from .model_store import Key, ModelEntry, ModelStore

MODELS = "/bigquery/v2/projects/{project}/datasets/{dataset}/models"
PAUSES = (0.01, 0.05, 0.2, 0.5)
"""Seconds between the tries of a change that others make at the same time."""


def model_routes(models: ModelStore, engine: ThreadedEngine) -> APIRouter:
    """The router."""
    router = APIRouter()

    @router.get(MODELS)
    def list_models(
        project: str,
        dataset: str,
        max_results: int = Query(1000, alias="maxResults"),
        page_token: str | None = Query(None, alias="pageToken"),
    ) -> dict[str, Any]:
        entries = models.entries(project, dataset)
        start = int(page_token or 0)
        answer: dict[str, Any] = {"models": [_shown(models, entry) for entry in entries[start : start + max_results]]}
        if start + max_results < len(entries):
            answer["nextPageToken"] = str(start + max_results)
        return answer

    @router.get(f"{MODELS}/{{model}}")
    def get_model(project: str, dataset: str, model: str) -> dict[str, Any]:
        entry = models.get((project, dataset, model))
        return models.load(entry).resource() | _shown(models, entry)

    @router.patch(f"{MODELS}/{{model}}")
    def patch_model(project: str, dataset: str, model: str, body: dict[str, Any] = Body()) -> dict[str, Any]:  # noqa: B008  # FastAPI's way
        entry = _until_settled(lambda: patch((project, dataset, model), body))
        return models.load(entry).resource() | _shown(models, entry)

    def patch(key: Key, body: dict[str, Any]) -> ModelEntry:
        with engine.transaction():
            entry = models.get(key)
            changes: dict[str, Any] = {}
            if "labels" in body:
                kept = {} if body["labels"] is None else entry.labels | body["labels"]
                changes["labels"] = {name: value for name, value in kept.items() if value is not None}
            for field, name in (("description", "description"), ("friendlyName", "friendly_name")):
                if field in body:
                    changes[name] = body[field] or ""
            if "expirationTime" in body:
                changes["expiration"] = None if body["expirationTime"] is None else int(body["expirationTime"])
            entry = replace(entry, modified=now_ms(), **changes)
            models.put(entry)
        return entry

    @router.delete(f"{MODELS}/{{model}}")
    def delete_model(project: str, dataset: str, model: str) -> Response:
        entry = _until_settled(lambda: drop((project, dataset, model)))
        models.remove_files(entry)
        return Response(status_code=204)

    def drop(key: Key) -> ModelEntry:
        with engine.transaction():
            entry = models.get(key)
            models.drop(entry)
        return entry

    return router


def _until_settled(change: Callable[[], ModelEntry]) -> ModelEntry:
    """Carry out a change of a model again if another request has changed the same row meanwhile."""
    for pause in PAUSES:
        try:
            return change()
        except duckdb.TransactionException:
            time.sleep(pause)
    return change()


def _shown(models: ModelStore, entry: ModelEntry) -> dict[str, Any]:
    """What is known without the model's files."""
    shown: dict[str, Any] = {
        "etag": f"{entry.generation}-{entry.modified}",
        "modelReference": {"projectId": entry.project, "datasetId": entry.dataset, "modelId": entry.name},
        "creationTime": str(entry.created),
        "lastModifiedTime": str(entry.modified),
        "location": entry.location,
        "modelType": models.load(entry).resource()["modelType"],
    }
    if entry.labels:
        shown["labels"] = entry.labels
    if entry.description:
        shown["description"] = entry.description
    if entry.friendly_name:
        shown["friendlyName"] = entry.friendly_name
    if entry.expiration is not None:
        shown["expirationTime"] = str(entry.expiration)
    return shown
