"""Logs as Cloud Logging reads them: one JSON object a line, with `severity`, `message` and labels.

Source of the field names: https://cloud.google.com/logging/docs/structured-logging
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import flask
import structlog
from werkzeug.datastructures import Headers

_LABELS = ("run_id", "stage", "model")
_headers: ContextVar[Headers | None] = ContextVar("headers", default=None)


def log_as_json() -> None:
    """Set structlog up for this process."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.format_exc_info,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            _as_cloud_logging,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    )


@contextmanager
def logged_with(headers: Headers) -> Iterator[None]:
    """Lines of the block belong to the request with these headers; for one that does not come through Flask."""
    token = _headers.set(headers)
    try:
        yield
    finally:
        _headers.reset(token)


def _trace() -> str:
    """The trace of the request at work, so that Cloud Logging shows all lines of a delivery together; "" outside of one."""
    project = os.environ.get("GOOGLE_CLOUD_PROJECT", "")
    headers = flask.request.headers if flask.has_request_context() else _headers.get()
    if not project or headers is None:
        return ""
    parent = headers.get("traceparent", "").split("-")
    identity = parent[1] if len(parent) == 4 else headers.get("X-Cloud-Trace-Context", "").split("/")[0]
    return f"projects/{project}/traces/{identity}" if identity else ""


def _as_cloud_logging(_logger: Any, method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    line["severity"] = {"warn": "WARNING", "exception": "ERROR"}.get(method, method.upper())
    line["message"] = line.pop("event", "")
    trace = _trace()
    if trace:
        line["logging.googleapis.com/trace"] = trace
    labels = {name: str(line[name]) for name in _LABELS if name in line}
    if labels:
        line["logging.googleapis.com/labels"] = labels
    return line
