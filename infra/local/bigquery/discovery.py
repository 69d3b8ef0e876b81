"""The discovery document, which the `bq` command line reads before anything else.

It names the API's address; `bq` has the methods themselves on board, and takes them from there when the document gives
none. https://developers.google.com/discovery/v1/reference/apis
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request


def discovery_routes() -> APIRouter:
    """The router."""
    router = APIRouter()

    @router.get("/$discovery/rest")
    @router.get("/discovery/v1/apis/bigquery/v2/rest")
    def document(request: Request) -> dict[str, Any]:
        root = f"{request.url.scheme}://{request.url.netloc}/"
        return {
            "kind": "discovery#restDescription",
            "id": "bigquery:v2",
            "name": "bigquery",
            "version": "v2",
            "rootUrl": root,
            "servicePath": "bigquery/v2/",
            "baseUrl": f"{root}bigquery/v2/",
            "batchPath": "batch/bigquery/v2",
            "resources": {},
        }

    return router
