"""Vertex AI for one environment: Google's clients, and their errors sorted into those that may pass and those that stay.

The `aiplatform_v1` clients over REST: they start faster than the high-level package, and speak plain HTTP to an address
that the environment names. Nothing here knows about versions or rollouts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from http import HTTPStatus
from typing import Any

import google.auth
import requests
import urllib3
from google.api_core import exceptions as api
from google.api_core import retry as api_retry
from google.api_core.client_options import ClientOptions
from google.auth.exceptions import TransportError
from google.auth.transport.urllib3 import AuthorizedHttp
from google.cloud import aiplatform_v1

from etl.errors import BqloopError, StateError, UnavailableError
from etl.settings import Settings
from etl.strict_json import strict_json

_MAY_PASS = (
    api.TooManyRequests,
    api.ServerError,
    api.Aborted,
    api.RetryError,
    ConnectionError,
    requests.ConnectionError,
    requests.Timeout,
    json.JSONDecodeError,
    urllib3.exceptions.HTTPError,
    TransportError,
)
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
# Seconds a single request may take; waiting for an operation is many of them.
TIMEOUT = 30.0
# Connections that are kept: more threads than any process of ours has.
_CONNECTIONS = 16


class Vertex:
    """The clients of one environment; each is made when it is first used.

    Args:
        settings: Project, region and address (an empty one means Google's own).
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.parent = f"projects/{settings.project}/locations/{settings.region}"

    @cached_property
    def models(self) -> aiplatform_v1.ModelServiceClient:
        """The model registry."""
        return aiplatform_v1.ModelServiceClient(**self._options())

    @cached_property
    def endpoints(self) -> aiplatform_v1.EndpointServiceClient:
        """Endpoints and what is deployed on them."""
        return aiplatform_v1.EndpointServiceClient(**self._options())

    def post(self, path: str, body: Mapping[str, Any], *, timeout: float) -> dict[str, Any]:
        """A request of our own, for calls that are made while somebody waits: messages cost more than the request.

        Args:
            path: The resource and what it is asked, such as `projects/…/endpoints/…:predict`.
            body: The request as Vertex AI's REST reference has it.
            timeout: Seconds.

        Raises:
            GoogleAPICallError: As Google's clients raise it.
            ValueError: The body has a number that JSON does not know.
        """
        url = f"{self.address}/v1/{path}"
        headers = {"Content-Type": "application/json"}
        response = self._http.urlopen(  # type: ignore[no-untyped-call]  # untyped package
            "POST", url, body=strict_json(body), headers=headers, timeout=timeout, retries=False
        )
        if response.status >= HTTPStatus.BAD_REQUEST:
            raise api.from_http_status(response.status, f"POST {url}: {_message(response)}")  # type: ignore[no-untyped-call]  # as above
        found: dict[str, Any] = json.loads(response.data)
        return found

    @cached_property
    def _http(self) -> AuthorizedHttp:
        """urllib3 itself: what requests does around it takes as long as the rest of the request."""
        credentials, _ = google.auth.default(scopes=[SCOPE])
        return AuthorizedHttp(credentials, http=_pool(self.address))  # type: ignore[no-untyped-call]  # untyped package

    @property
    def address(self) -> str:
        """Where the clients speak to."""
        return self._settings.endpoints.vertex or f"https://{self._settings.region}-aiplatform.googleapis.com"

    @contextmanager
    def errors_of(self, doing: str) -> Iterator[None]:
        """Raise what Google's clients raise inside as an error of ours that says what was being done.

        Raises:
            UnavailableError: Vertex AI is down, busy or over quota; the same call may succeed later.
            StateError: Vertex AI refuses; the same call would be refused again.
        """
        try:
            yield
        except BqloopError:
            raise
        except _MAY_PASS as error:
            raise UnavailableError(f"Vertex AI at {self.address} cannot be used just now, {doing}: {error}") from error
        except api.GoogleAPICallError as error:
            if _status(error) == "ABORTED":
                raise UnavailableError(f"Somebody else was at it too, {doing}: {error.message}") from error
            raise StateError(f"Vertex AI refuses, {doing}: {error.message}") from error

    def _options(self) -> dict[str, Any]:
        return {"transport": "rest", "client_options": ClientOptions(api_endpoint=self.address)}


def _pool(address: str) -> urllib3.PoolManager:
    """Connections to an address, through the proxy and with the certificates that the environment gives all other clients."""
    found = requests.Session().merge_environment_settings(address, {}, None, None, None)
    authorities = requests.utils.DEFAULT_CA_BUNDLE_PATH if found["verify"] is True else found["verify"]
    options: dict[str, Any] = {"maxsize": _CONNECTIONS, "cert_reqs": "CERT_REQUIRED", "ca_certs": authorities}
    proxy = requests.utils.select_proxy(address, found["proxies"])
    return urllib3.ProxyManager(proxy, **options) if proxy else urllib3.PoolManager(**options)


def _message(response: urllib3.BaseHTTPResponse) -> str:
    """What Google's error says, or the beginning of an answer that is none of Google's."""
    try:
        return str(json.loads(response.data)["error"]["message"])
    except (KeyError, TypeError, ValueError):
        return response.data[:200].decode(errors="replace") or "no answer"


def _status(error: api.GoogleAPICallError) -> str:
    """Google's word for an error that came over REST, where ABORTED and ALREADY_EXISTS are both HTTP 409; "" else."""
    try:
        return str(error.response.json()["error"]["status"])
    except (AttributeError, KeyError, TypeError, ValueError):
        return ""


def patience() -> dict[str, Any]:
    """How long a request is tried again by itself: short, because the message is delivered again in any case."""
    transient = api_retry.if_exception_type(api.TooManyRequests, api.ServiceUnavailable, requests.ConnectionError)
    return {"retry": api_retry.Retry(predicate=transient, initial=0.2, maximum=5.0, timeout=10.0), "timeout": TIMEOUT}
