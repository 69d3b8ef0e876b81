"""The discovery document, from which the `bq` command line learns the API's methods and its address.

Written from the REST reference, for the methods that are answered here.
https://developers.google.com/discovery/v1/reference/apis
"""

from __future__ import annotations

import re
from typing import Any

from fastapi import APIRouter, Request

_P, _D, _T = "projects/{projectId}", "projects/{projectId}/datasets/{datasetId}", "tables/{tableId}"
_PAGE = ("maxResults", "pageToken")

#: Resource, method, HTTP method, path, query parameters. Methods that send a body are POST, PUT and PATCH.
METHODS: tuple[tuple[str, str, str, str, tuple[str, ...]], ...] = (
    ("projects", "list", "GET", "projects", _PAGE),
    ("projects", "getServiceAccount", "GET", f"{_P}/serviceAccount", ()),
    ("datasets", "list", "GET", f"{_P}/datasets", (*_PAGE, "all", "filter")),
    ("datasets", "get", "GET", _D, ("datasetView", "accessPolicyVersion")),
    ("datasets", "insert", "POST", f"{_P}/datasets", ("accessPolicyVersion",)),
    ("datasets", "update", "PUT", _D, ("updateMode", "accessPolicyVersion")),
    ("datasets", "patch", "PATCH", _D, ("updateMode", "accessPolicyVersion")),
    ("datasets", "delete", "DELETE", _D, ("deleteContents",)),
    ("tables", "list", "GET", f"{_D}/tables", _PAGE),
    ("tables", "get", "GET", f"{_D}/{_T}", ("selectedFields", "view")),
    ("tables", "insert", "POST", f"{_D}/tables", ()),
    ("tables", "update", "PUT", f"{_D}/{_T}", ("autodetect_schema",)),
    ("tables", "patch", "PATCH", f"{_D}/{_T}", ("autodetect_schema",)),
    ("tables", "delete", "DELETE", f"{_D}/{_T}", ()),
    ("tabledata", "list", "GET", f"{_D}/{_T}/data", (*_PAGE, "startIndex", "selectedFields", "formatOptions.useInt64Timestamp")),
    ("tabledata", "insertAll", "POST", f"{_D}/{_T}/insertAll", ()),
    ("models", "list", "GET", f"{_D}/models", _PAGE),
    ("models", "get", "GET", f"{_D}/models/{{modelId}}", ()),
    ("models", "patch", "PATCH", f"{_D}/models/{{modelId}}", ()),
    ("models", "delete", "DELETE", f"{_D}/models/{{modelId}}", ()),
    ("routines", "list", "GET", f"{_D}/routines", (*_PAGE, "filter", "readMask")),
    ("routines", "get", "GET", f"{_D}/routines/{{routineId}}", ("readMask",)),
    ("routines", "delete", "DELETE", f"{_D}/routines/{{routineId}}", ()),
    ("jobs", "list", "GET", f"{_P}/jobs", (*_PAGE, "allUsers", "projection", "stateFilter", "minCreationTime", "maxCreationTime", "parentJobId")),
    ("jobs", "get", "GET", f"{_P}/jobs/{{jobId}}", ("location",)),
    ("jobs", "insert", "POST", f"{_P}/jobs", ()),
    ("jobs", "query", "POST", f"{_P}/queries", ()),
    ("jobs", "getQueryResults", "GET", f"{_P}/queries/{{jobId}}", (*_PAGE, "startIndex", "timeoutMs", "location", "formatOptions.useInt64Timestamp")),
    ("jobs", "cancel", "POST", f"{_P}/jobs/{{jobId}}/cancel", ("location",)),
    ("jobs", "delete", "DELETE", f"{_P}/jobs/{{jobId}}/delete", ("location",)),
)  # fmt: skip
_TYPES = {"maxResults": "integer", "all": "boolean", "deleteContents": "boolean", "allUsers": "boolean", "autodetect_schema": "boolean",
          "formatOptions.useInt64Timestamp": "boolean", "accessPolicyVersion": "integer", "timeoutMs": "integer"}  # fmt: skip
_WITHOUT_BODY = ("cancel",)


def document(root: str) -> dict[str, Any]:
    """The document of an API at `root` (with a slash at its end)."""
    resources: dict[str, Any] = {}
    for resource, name, http_method, path, query in METHODS:
        parameters: dict[str, Any] = {
            part: {"type": "string", "location": "path", "required": True} for part in re.findall(r"{(\w+)}", path)
        }
        for parameter in query:
            parameters[parameter] = {"type": _TYPES.get(parameter, "string"), "location": "query"}
            if parameter == "stateFilter":
                parameters[parameter]["repeated"] = True
        method: dict[str, Any] = {
            "id": f"bigquery.{resource}.{name}",
            "path": path,
            "flatPath": path,
            "httpMethod": http_method,
            "parameters": parameters,
            "parameterOrder": re.findall(r"{(\w+)}", path),
            "response": {"$ref": "Resource"},
            "scopes": ["https://www.googleapis.com/auth/bigquery"],
        }
        if http_method in ("POST", "PUT", "PATCH") and name not in _WITHOUT_BODY:
            method["request"] = {"$ref": "Resource"}
        if (resource, name) == ("jobs", "insert"):
            upload = f"/upload/bigquery/v2/{path}"
            method["supportsMediaUpload"] = True
            method["mediaUpload"] = {
                "accept": ["*/*"],
                "protocols": {
                    "simple": {"multipart": True, "path": upload},
                    "resumable": {"multipart": True, "path": upload.replace("/upload/", "/resumable/upload/")},
                },
            }
        resources.setdefault(resource, {"methods": {}})["methods"][name] = method
    return {
        "kind": "discovery#restDescription",
        "id": "bigquery:v2",
        "name": "bigquery",
        "version": "v2",
        "protocol": "rest",
        "rootUrl": root,
        "basePath": "/bigquery/v2/",
        "servicePath": "bigquery/v2/",
        "baseUrl": f"{root}bigquery/v2/",
        "batchPath": "batch/bigquery/v2",
        "parameters": {
            name: {"type": "string", "location": "query"}
            for name in ("alt", "fields", "key", "quotaUser", "prettyPrint")
        },
        "schemas": {"Resource": {"id": "Resource", "type": "object", "additionalProperties": {"type": "any"}}},
        "resources": resources,
    }


def discovery_routes() -> APIRouter:
    """The router."""
    router = APIRouter()

    @router.get("/$discovery/rest")
    @router.get("/discovery/v1/apis/bigquery/v2/rest")
    def discovery(request: Request) -> dict[str, Any]:
        return document(f"{request.url.scheme}://{request.url.netloc}/")

    return router
