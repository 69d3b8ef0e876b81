"""HTTP: which request is for what, and how answers and problems are written."""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections.abc import Callable
from functools import cache, partial
from http import HTTPStatus
from typing import Any

import structlog
from pydantic import BaseModel, ValidationError
from werkzeug.wrappers import Request, Response

from deployment.stages.run import policy_of
from etl.errors import RetryableError, StateError
from functions.service import openapi
from functions.service.payloads import DuplicatesRequest, FeedbackRequest, ScoreRequest
from functions.service.problems import Problem, of_validation
from functions.service.row_payloads import PredictRequest
from functions.service.row_service import RowService
from functions.service.service import Service
from functions.stage_events import application

log = structlog.get_logger(__name__)

# A hundred deals with long descriptions are well below it.
MAX_BODY_BYTES = 4 * 1024 * 1024
_PREDICT = re.compile(r"/models/(?P<model>[a-z][a-z0-9_]*)/predict")
_loading = threading.Lock()


def answer(request: Request) -> Response:
    """Answer one request."""
    request_id = str(uuid.uuid4())
    try:
        handler = _handler(request)
        return handler(request, request_id)
    except Problem as problem:
        return _problem(problem, request_id)
    except ValidationError as error:
        return _problem(of_validation(error), request_id)
    except (StateError, RetryableError) as error:
        # Nobody deployed, a service away: the caller did nothing wrong, and the same request may succeed later.
        log.warning(str(error), request_id=request_id, error=type(error).__name__)
        return _problem(Problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error), retry_after=5), request_id)
    except Exception:
        log.exception("a request failed", request_id=request_id)
        detail = f"this should not have happened; the service's log tells more about request {request_id}"
        return _problem(Problem(HTTPStatus.INTERNAL_SERVER_ERROR, detail), request_id)


@cache
def _service() -> Service:
    app = application()
    return Service(app, app.settings.models[0])


def service() -> Service:
    """The service, made once an instance however many requests come first."""
    with _loading:
        return _service()


@cache
def _models_of_rows() -> tuple[str, ...]:
    app = application()
    return tuple(name for name in app.settings.models if policy_of(app.templates(name)).rows)


@cache
def _row_service(model: str) -> RowService:
    return RowService(application(), model)


def row_service(model: str) -> RowService:
    """The service of a model of single rows, made once an instance.

    Raises:
        Problem: The environment has no such model.
    """
    known = _models_of_rows()
    if model not in known:
        there = f"there are {', '.join(known)}" if known else "there is none"
        raise Problem(HTTPStatus.NOT_FOUND, f"no model {model!r} of single rows is served here; {there}")
    with _loading:
        return _row_service(model)


def _handler(request: Request) -> Callable[[Request, str], Response]:
    path = request.path.rstrip("/") or "/"
    methods = _ROUTES.get(path)
    asked = _PREDICT.fullmatch(path)
    if asked:
        methods = {"POST": partial(_predict, asked["model"])}
    if methods is None:
        known = ", ".join([*sorted(_ROUTES), "/models/<model>/predict"])
        raise Problem(HTTPStatus.NOT_FOUND, f"there is no {path} here; there are {known}")
    if request.method not in methods:
        raise Problem(HTTPStatus.METHOD_NOT_ALLOWED, f"{path} takes {', '.join(methods)}, not {request.method}")
    return methods[request.method]


def _body(request: Request) -> bytes:
    if request.mimetype not in {"application/json", ""}:
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"the body must be application/json, not {request.mimetype}")
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise _too_large()
    data = request.stream.read(MAX_BODY_BYTES + 1)
    if len(data) > MAX_BODY_BYTES:
        raise _too_large()
    return bytes(data)


def _too_large() -> Problem:
    return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body may have {MAX_BODY_BYTES:,} bytes at most")


def _score(request: Request, request_id: str) -> Response:
    return _json(service().score(ScoreRequest.model_validate_json(_body(request)), request_id))


def _duplicates(request: Request, request_id: str) -> Response:
    return _json(service().duplicates(DuplicatesRequest.model_validate_json(_body(request)), request_id))


def _feedback(request: Request, request_id: str) -> Response:
    return _json(service().feedback(FeedbackRequest.model_validate_json(_body(request)), request_id))


def _predict(model: str, request: Request, request_id: str) -> Response:
    asked = PredictRequest.model_validate_json(_body(request))
    return _json(row_service(model).predict(asked, request_id))


def _openapi(_request: Request, _request_id: str) -> Response:
    return _json(openapi.document())


def _docs(_request: Request, _request_id: str) -> Response:
    return Response(openapi.page(), HTTPStatus.OK, mimetype="text/html")


def _healthz(_request: Request, _request_id: str) -> Response:
    return _json({"status": "alive"})


def _readyz(_request: Request, _request_id: str) -> Response:
    first = application().settings.models[0]
    if first in _models_of_rows():
        traffic = row_service(first).versions.traffic()
    else:
        traffic = service().versions.traffic()
        service().index()
    return _json({"status": "ready", "versions": dict(traffic.shares)})


def _json(content: BaseModel | dict[str, Any]) -> Response:
    text = content.model_dump_json(exclude_none=True) if isinstance(content, BaseModel) else json.dumps(content)
    return Response(text, HTTPStatus.OK, mimetype="application/json")


def _problem(problem: Problem, request_id: str) -> Response:
    return Response(
        json.dumps(problem.document(request_id)),
        problem.status,
        mimetype="application/problem+json",
        headers=dict(problem.headers),
    )


_ROUTES: dict[str, dict[str, Callable[[Request, str], Response]]] = {
    "/duplicates": {"POST": _duplicates},
    "/score": {"POST": _score},
    "/feedback": {"POST": _feedback},
    "/openapi.json": {"GET": _openapi},
    "/docs": {"GET": _docs},
    "/healthz": {"GET": _healthz},
    "/readyz": {"GET": _readyz},
}
