"""The service's OpenAPI document, made of the models that validate its requests, and a page that shows it."""

from __future__ import annotations

import html
import json
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from functions.service.payloads import (
    DuplicatesAnswer,
    DuplicatesRequest,
    FeedbackAnswer,
    FeedbackRequest,
    ProblemAnswer,
    ScoreAnswer,
    ScoreRequest,
)
from functions.service.row_payloads import PredictAnswer, PredictRequest

_PREDICT = "/models/{model}/predict"
_POSTS: tuple[tuple[str, str, type[BaseModel], type[BaseModel]], ...] = (
    ("/score", "Score pairs of deals, given whole or by source and deal_id", ScoreRequest, ScoreAnswer),
    ("/duplicates", "Find the duplicates of new deals among the known ones", DuplicatesRequest, DuplicatesAnswer),
    (_PREDICT, "Ask a model of single rows", PredictRequest, PredictAnswer),
    ("/feedback", "Say whether a pair is a duplicate; the verdict is kept", FeedbackRequest, FeedbackAnswer),
)
_GETS = (
    ("/healthz", "Whether the process is alive"),
    ("/readyz", "Whether a version and its index are loaded"),
    ("/openapi.json", "This document"),
)
_PROBLEMS = {
    "400": "The body is not JSON",
    "404": "A deal that is given by ID is not known",
    "413": "The body is too large",
    "415": "The body is not application/json",
    "422": "A field is wrong; `errors` names it",
    "500": "A fault of the service",
    "503": "No version is deployed, or a service that is needed is away; try again",
}


@cache
def document() -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    models: list[tuple[type[BaseModel], Any]] = [(ProblemAnswer, "serialization")]
    for _, _, request, answer in _POSTS:
        models += [(request, "validation"), (answer, "serialization")]
    references, schemas = models_json_schema(models, ref_template="#/components/schemas/{model}")
    problem = {"application/problem+json": {"schema": references[ProblemAnswer, "serialization"]}}
    refusals = {status: {"description": text, "content": problem} for status, text in _PROBLEMS.items()}
    paths: dict[str, Any] = {}
    for path, summary, request, answer in _POSTS:
        body = {"application/json": {"schema": references[request, "validation"]}}
        success = {"application/json": {"schema": references[answer, "serialization"]}}
        named = {"name": "model", "in": "path", "required": True, "schema": {"type": "string"}}
        paths[path] = {
            "post": {
                "summary": summary,
                "parameters": [named] if path == _PREDICT else [],
                "requestBody": {"required": True, "content": body},
                "responses": {"200": {"description": "The answer", "content": success}, **refusals},
            }
        }
    for path, summary in _GETS:
        anything = {"application/json": {"schema": {"type": "object"}}}
        responses: dict[str, Any] = {"200": {"description": "OK", "content": anything}}
        if path == "/readyz":
            responses["503"] = refusals["503"]
        paths[path] = {"get": {"summary": summary, "responses": responses}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "bqloop: duplicate deals", "version": "1"},
        "paths": paths,
        "components": {"schemas": schemas["$defs"]},
    }


def page() -> str:
    """The document for people: one page without scripts or anything from elsewhere."""
    parts = []
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            parts.append(
                f"<h2><code>{method.upper()} {html.escape(path)}</code></h2><p>{html.escape(operation['summary'])}</p>"
            )
            body = operation.get("requestBody")
            if body:
                name = body["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[-1]
                schema = json.dumps(document()["components"]["schemas"][name], indent=2)
                parts.append(f"<details><summary>{name}</summary><pre>{html.escape(schema)}</pre></details>")
    style = "body{font:16px/1.5 system-ui;max-width:50rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}pre{overflow:auto}"
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>bqloop: duplicate deals</title>'
        f"<style>{style}</style><h1>Duplicate deals</h1>{''.join(parts)}</html>"
    )
