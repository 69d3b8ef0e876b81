"""The REST routes for models.

https://cloud.google.com/bigquery/docs/reference/rest/v2/models
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Body, Query, Response

from ..engine import ThreadedEngine
from ..job import now_ms
from .model_store import ModelEntry, ModelStore

MODELS = "/bigquery/v2/projects/{project}/datasets/{dataset}/models"


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
        with engine.transaction():
            entry = models.get((project, dataset, model))
            changes: dict[str, Any] = {}
            if "labels" in body:
                kept = {} if body["labels"] is None else entry.labels | body["labels"]
                changes["labels"] = {name: value for name, value in kept.items() if value is not None}
            for key, name in (("description", "description"), ("friendlyName", "friendly_name")):
                if key in body:
                    changes[name] = body[key] or ""
            if "expirationTime" in body:
                changes["expiration"] = None if body["expirationTime"] is None else int(body["expirationTime"])
            entry = replace(entry, modified=now_ms(), **changes)
            models.put(entry)
        return models.load(entry).resource() | _shown(models, entry)

    @router.delete(f"{MODELS}/{{model}}")
    def delete_model(project: str, dataset: str, model: str) -> Response:
        with engine.transaction():
            entry = models.get((project, dataset, model))
            models.drop(entry)
        models.remove_files(entry)
        return Response(status_code=204)

    return router


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
