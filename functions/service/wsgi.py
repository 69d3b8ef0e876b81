"""The service as a WSGI application, which the container runs: requests go straight to `routes.answer`.

A Cloud Function comes with functions-framework around it, and Flask around that; for one entry point there is nothing for
either to do.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from werkzeug.wrappers import Request

from functions.service import routes
from functions.structured_logs import log_as_json, logged_with

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

log_as_json()


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer one request."""
    request = Request(environ)
    with logged_with(request.headers):
        return routes.answer(request)(environ, start_response)
