"""The REST surface: Google's paths and verbs to the services, and predictions past everything else.

A method that Vertex has and this does not is refused with UNIMPLEMENTED and its own name.
"""

import asyncio
import json
import logging
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from infra.local.vertex.endpoints import Endpoints
from infra.local.vertex.errors import ApiError, internal, invalid
from infra.local.vertex.evaluations import Evaluations
from infra.local.vertex.models import Models
from infra.local.vertex.names import EndpointRef, ModelRef, Names
from infra.local.vertex.operations import Operations
from infra.local.vertex.serving import Serving

_log = logging.getLogger(__name__)

_LOCATION = "/v1/projects/{project}/locations/{location}"
_MODEL = _LOCATION + "/models/{model}"
_ENDPOINT = _LOCATION + "/endpoints/{endpoint}"
_PREDICT = re.compile(r"/v1/projects/([^/]+)/locations/([^/]+)/endpoints/([^/:]+):predict")
# Google's REST clients poll operations below /ui, the first of the paths that their transport lists.
_OPERATION = re.compile(
    r"/(?:v1|ui)/(projects/[^/]+/locations/[^/]+(?:/(?:endpoints|models)/[^/:]+)?/operations/[^/:]+)(:\w+)?"
)

# A poll is answered a little later when the operation may end meanwhile: clients sleep a second between polls.
_POLL_LINGER_SECONDS = 0.25
_MAX_WAIT_SECONDS = 30.0
# Larger requests are computed on a thread so that they do not hold up the others.
_INLINE_BODY_BYTES = 65_536

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Handler = Callable[[Request, dict[str, Any]], dict[str, Any]]


class VertexApp:
    """The ASGI application."""

    def __init__(
        self,
        names: Names,
        models: Models,
        evaluations: Evaluations,
        endpoints: Endpoints,
        operations: Operations,
        serving: Serving,
    ) -> None:
        self._names = names
        self._models = models
        self._evaluations = evaluations
        self._endpoints = endpoints
        self._operations = operations
        self._serving = serving
        self._management = Starlette(routes=self._routes())

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http" and scope["method"] == "POST" and scope["path"].endswith(":predict"):
            match = _PREDICT.fullmatch(scope["path"])
            if match is not None:
                code, body = await self._predict(match[1], EndpointRef(match[2], match[3]), receive)
                headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
                await send({"type": "http.response.start", "status": code, "headers": headers})
                await send({"type": "http.response.body", "body": body})
                return
        await self._management(scope, receive, send)

    async def _predict(self, project: str, ref: EndpointRef, receive: Receive) -> tuple[int, bytes]:
        body = await _read_body(receive)
        try:
            self._names.check_project(project)
            served = self._serving.choose(ref, self._names.endpoint(ref))
            delay = self._serving.delay_seconds(served)
            if delay:
                await asyncio.sleep(delay)
            if len(body) > _INLINE_BODY_BYTES:
                return 200, await run_in_threadpool(self._serving.predict, served, body)
            return 200, self._serving.predict(served, body)
        except ApiError as error:
            return error.http_code, error.body()
        except Exception as error:  # noqa: BLE001 - logged, and answered as INTERNAL
            _log.exception("prediction failed")
            wrapped = internal(error)
            return wrapped.http_code, wrapped.body()

    def _routes(self) -> list[Route]:
        models, endpoints, evaluations = self._models, self._endpoints, self._evaluations

        def route(path: str, method: str, handler: Handler) -> Route:
            return Route(path, _Answer(handler, self._names), methods=[method])

        return [
            route(_MODEL + ":listVersions", "GET", lambda r, _: models.list_versions(_model(r), r.query_params)),
            route(
                _MODEL + ":mergeVersionAliases", "POST", lambda r, body: models.merge_version_aliases(_model(r), body)
            ),
            route(_MODEL + ":deleteVersion", "DELETE", lambda r, _: models.delete_version(_model(r))),
            route(
                _MODEL + "/evaluations:import",
                "POST",
                lambda r, body: evaluations.import_evaluation(_model(r), body),
            ),
            route(_MODEL + "/evaluations", "GET", lambda r, _: evaluations.list(_model(r), r.query_params)),
            route(
                _MODEL + "/evaluations/{evaluation}",
                "GET",
                lambda r, _: evaluations.get(_model(r), r.path_params["evaluation"]),
            ),
            route(_LOCATION + "/models", "GET", lambda r, _: models.list(r.path_params["location"], r.query_params)),
            route(_MODEL, "GET", lambda r, _: models.get(_model(r))),
            route(
                _MODEL, "PATCH", lambda r, body: models.update(_model(r), body, r.query_params.get("updateMask", ""))
            ),
            route(_MODEL, "DELETE", lambda r, _: models.delete(_model(r))),
            route(_ENDPOINT + ":deployModel", "POST", lambda r, body: endpoints.deploy(_endpoint(r), body)),
            route(_ENDPOINT + ":undeployModel", "POST", lambda r, body: endpoints.undeploy(_endpoint(r), body)),
            route(
                _ENDPOINT + ":mutateDeployedModel",
                "POST",
                lambda r, body: endpoints.mutate_deployed_model(_endpoint(r), body),
            ),
            route(
                _LOCATION + "/endpoints",
                "POST",
                lambda r, body: endpoints.create(
                    r.path_params["location"],
                    body,
                    r.query_params.get("endpointId") or r.query_params.get("endpoint_id", ""),
                ),
            ),
            route(
                _LOCATION + "/endpoints", "GET", lambda r, _: endpoints.list(r.path_params["location"], r.query_params)
            ),
            route(_ENDPOINT, "GET", lambda r, _: endpoints.get(_endpoint(r))),
            route(
                _ENDPOINT,
                "PATCH",
                lambda r, body: endpoints.update(_endpoint(r), body, r.query_params.get("updateMask", "")),
            ),
            route(_ENDPOINT, "DELETE", lambda r, _: endpoints.delete(_endpoint(r))),
            *(
                route(prefix + "/operations", "GET", self._list_operations)
                for path in (_LOCATION, _ENDPOINT, _MODEL)
                for prefix in (path, path.replace("/v1/", "/ui/"))
            ),
            *(
                Route("/{rest:path}", _Answer(self._operation_or_refusal, self._names), methods=[method])
                for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
            ),
        ]

    def _list_operations(self, request: Request, _: dict[str, Any]) -> dict[str, Any]:
        path = request.url.path.removeprefix("/v1/").removeprefix("/ui/").removesuffix("/operations")
        return self._operations.list(self._canonical(path))

    def _operation_or_refusal(self, request: Request, body: dict[str, Any]) -> dict[str, Any]:
        match = _OPERATION.fullmatch(request.url.path)
        method = (request.method, match[2]) if match else None
        if match is not None and method in _OPERATION_METHODS:
            self._names.check_project(match[1].split("/")[1])
            return _OPERATION_METHODS[method](
                self._operations, self._canonical(match[1]), {**request.query_params, **body}
            )
        raise ApiError("UNIMPLEMENTED", f"The local Vertex AI does not implement {request.method} {request.url.path}.")

    def _canonical(self, path: str) -> str:
        """The resource name with the project's number, as names are kept."""
        return re.sub(r"^projects/[^/]+", f"projects/{self._names.number}", path)


def _cancel(operations: Operations, name: str, _: dict[str, Any]) -> dict[str, Any]:
    operations.cancel(name)
    return {}


def _delete(operations: Operations, name: str, _: dict[str, Any]) -> dict[str, Any]:
    operations.delete(name)
    return {}


def _wait(operations: Operations, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    text = str(arguments.get("timeout") or f"{_MAX_WAIT_SECONDS}s")
    if re.fullmatch(r"\d+(\.\d+)?s", text) is None:
        raise invalid(f"Invalid timeout: {text!r}.")
    return operations.get(name, linger_seconds=min(float(text[:-1]), _MAX_WAIT_SECONDS))


_OPERATION_METHODS: dict[Any, Callable[[Operations, str, dict[str, Any]], dict[str, Any]]] = {
    ("GET", None): lambda operations, name, _: operations.get(name, linger_seconds=_POLL_LINGER_SECONDS),
    ("DELETE", None): _delete,
    ("POST", ":cancel"): _cancel,
    ("POST", ":wait"): _wait,
}


class _Answer:
    """Makes an ASGI endpoint of a handler: reads the body, runs the handler on a thread, writes JSON or the error."""

    def __init__(self, handler: Handler, names: Names) -> None:
        self._handler = handler
        self._names = names

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            body = _parse(await request.body())
            if "project" in request.path_params:
                self._names.check_project(request.path_params["project"])
            answer = await run_in_threadpool(self._handler, request, body)
            response = Response(json.dumps(answer), 200, media_type="application/json")
        except ApiError as error:
            response = Response(error.body(), error.http_code, media_type="application/json")
        except Exception as error:  # noqa: BLE001 - logged, and answered as INTERNAL
            _log.exception("%s %s failed", request.method, request.url.path)
            wrapped = internal(error)
            response = Response(wrapped.body(), wrapped.http_code, media_type="application/json")
        await response(scope, receive, send)


async def _read_body(receive: Receive) -> bytes:
    chunks = []
    while True:
        message = await receive()
        chunks.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(chunks)


def _parse(body: bytes) -> dict[str, Any]:
    if not body:
        return {}
    try:
        parsed = json.loads(body)
    except ValueError as error:
        raise invalid(f"Invalid JSON payload received: {error}.") from error
    if not isinstance(parsed, dict):
        raise invalid("Invalid JSON payload received: an object is expected.")
    return parsed


def _model(request: Request) -> ModelRef:
    model_id, _, version = request.path_params["model"].partition("@")
    return ModelRef(request.path_params["location"], model_id, version or None)


def _endpoint(request: Request) -> EndpointRef:
    return EndpointRef(request.path_params["location"], request.path_params["endpoint"])
