"""The hook below Google's clients: counts the calls of one delivery, and spoils those that its plan names.

It sits in `requests` (BigQuery, Vertex AI, token) and in gRPC's channels (Pub/Sub), where a real fault would strike: the
clients' own retries, and all of production code above them, are as they are. Call 1 is the first of a delivery.
"""

from __future__ import annotations

import json
import os
import re
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
import requests
import requests.adapters
from requests.structures import CaseInsensitiveDict

from tests.faults.injected_errors import InjectedError, InjectedRpcError, error_named

KILLED = 137
_OWN_JOB = re.compile(r"bqloop_[A-Za-z0-9_-]+")
_STEP = re.compile(r"bqloop_.+?_[a-z]+_(?P<step>.+)_\d+")


@dataclass(frozen=True)
class Fault:
    """What goes wrong in one delivery.

    Attributes:
        call: At which call, from 1.
        what: `kill-before` or `kill-after` it, or the identity of an error.
        lasting: All later calls to the same service fail alike, as in an outage.
        step: Only a job of this step of the stage is spoiled; "" for any.
    """

    call: int
    what: str
    lasting: bool = False
    step: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Calls:
    """The calls of one delivery.

    Args:
        addresses: Service by `host:port`.
        fault: What to spoil; None only counts.
        trace: A line of JSON a call is appended here, before it goes out; it survives the kill.
        failed_jobs: A folder that remembers jobs that were made to fail, over deliveries.
    """

    def __init__(self, addresses: dict[str, str], fault: Fault | None, trace: Path, failed_jobs: Path) -> None:
        self._addresses = addresses
        self._fault = fault
        self._error = error_named(fault.what) if fault and not fault.what.startswith("kill-") else None
        self._trace = os.open(trace, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._failed_jobs = failed_jobs
        self._count = 0
        self._struck = False
        self._lock = threading.Lock()
        self._of_thread = threading.local()

    def install(self) -> None:
        """From now on every call of this process goes through here."""
        self._hook_requests()
        self._hook_grpc()
        if self._fault is not None and self._fault.lasting:
            _let_waiting_cost_nothing()

    def _hook_requests(self) -> None:
        send = requests.adapters.HTTPAdapter.send

        def spoiled(adapter: Any, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
            address = urlsplit(str(request.url))
            service = self._addresses.get(address.netloc)
            if service is None:
                # google-auth asks Google itself, aside, about the made-up account; nothing depends on the answer.
                raise requests.exceptions.ConnectionError(f"{address.netloc} is not a part of this world")
            known = self._known_failure(service, request)
            if known is not None:
                return known
            error = self._before(service, f"{request.method} {_shape(address.path)}", request)
            if error is not None:
                return self._answer(error, request)
            response = send(adapter, request, *args, **kwargs)
            self._after()
            return response

        requests.adapters.HTTPAdapter.send = spoiled  # type: ignore[method-assign]

    def _hook_grpc(self) -> None:
        calls, insecure_channel = self, grpc.insecure_channel

        class Interceptor(grpc.UnaryUnaryClientInterceptor):  # type: ignore[misc]  # grpc ships without types
            def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
                method = details.method.decode() if isinstance(details.method, bytes) else details.method
                error = calls._before("pubsub", method.rsplit("/", 1)[-1], None)
                if error is not None:
                    raise InjectedRpcError(error)
                answer = continuation(details, request)
                answer.result()
                calls._after()
                return answer

        def channel(*args: Any, **kwargs: Any) -> Any:
            return grpc.intercept_channel(insecure_channel(*args, **kwargs), Interceptor())

        grpc.insecure_channel = channel

    def _before(self, service: str, shape: str, request: requests.PreparedRequest | None) -> InjectedError | None:
        with self._lock:
            self._count += 1
            number, fault = self._count, self._fault
            self._of_thread.number = number
            job = _own_job(request) if request is not None and shape == "POST jobs" else ""
            step = found["step"] if (found := _STEP.fullmatch(job)) else ""
            self._write({"call": number, "service": service, "shape": shape, "job": bool(job), "step": step})
            if fault is None:
                return None
            if fault.what.startswith("kill-"):
                if number == fault.call and fault.what == "kill-before":
                    self._strike(service, shape)
                    os._exit(KILLED)
                return None
            error = self._error
            if error is None or error.service != service or (error.fails_job and not job):
                return None
            if number < fault.call or (self._struck and not fault.lasting) or fault.step not in ("", step):
                return None
            self._strike(service, shape)
            return error

    def _after(self) -> None:
        fault = self._fault
        if fault is not None and fault.what == "kill-after" and self._of_thread.number == fault.call:
            self._strike("", "")
            os._exit(KILLED)

    def _strike(self, service: str, shape: str) -> None:
        self._struck = True
        self._write({"struck": self._fault.what if self._fault else "", "service": service, "shape": shape})

    def _write(self, line: dict[str, Any]) -> None:
        os.write(self._trace, json.dumps(line).encode() + b"\n")

    def _answer(self, error: InjectedError, request: requests.PreparedRequest) -> requests.Response:
        if error.code == 0:
            raise requests.exceptions.ConnectionError(("Connection aborted.", ConnectionResetError(104, "injected")))
        if error.fails_job:
            job_id = _own_job(request)
            (self._failed_jobs / job_id).write_text(error.identity)
            return _response(request, 200, json.dumps(_failed_job(job_id, error)).encode())
        return _response(request, error.code, error.body())

    def _known_failure(self, service: str, request: requests.PreparedRequest) -> requests.Response | None:
        """The answer about a job that was made to fail: BigQuery has it, under its ID, as failed."""
        if service != "bigquery":
            return None
        path = urlsplit(str(request.url)).path
        found = _OWN_JOB.search(path)
        job_id = found[0] if found else _own_job(request) if path.endswith("/jobs") else ""
        marked = self._failed_jobs / job_id
        if not job_id or not marked.exists():
            return None
        error = error_named(marked.read_text())
        if request.method == "POST":
            return _response(request, 409, InjectedError("bigquery", "duplicate", 409, False).body())
        if "/queries/" in path:
            return _response(request, max(error.code, 400), error.body())
        return _response(request, 200, json.dumps(_failed_job(job_id, error)).encode())


def _own_job(request: requests.PreparedRequest) -> str:
    """The ID of the job that a request starts, if the loop gave it one; dry runs have none."""
    try:
        config = json.loads(request.body or "{}")
    except ValueError:
        return ""
    job_id = str(config.get("jobReference", {}).get("jobId", ""))
    return job_id if job_id.startswith("bqloop_") else ""


def _failed_job(job_id: str, error: InjectedError) -> dict[str, Any]:
    told = {"reason": error.name, "message": f"Injected {error.name}"}
    return {
        "kind": "bigquery#job",
        "jobReference": {"projectId": "bqloop-local", "jobId": job_id, "location": "US"},
        "configuration": {"jobType": "QUERY", "query": {"query": "SELECT 1", "useLegacySql": False}},
        "status": {"state": "DONE", "errorResult": told, "errors": [told]},
        "statistics": {"query": {}},
    }


def _response(request: requests.PreparedRequest, code: int, body: bytes) -> requests.Response:
    response = requests.Response()
    response.status_code = code
    response._content = body
    response.headers = CaseInsensitiveDict({"Content-Type": "application/json; charset=UTF-8"})
    response.request = request
    response.url = str(request.url)
    return response


def _shape(path: str) -> str:
    """A path without what differs from run to run: `jobs/*`, `models/*:mergeVersionAliases`."""
    parts = [part for part in path.split("/") if part]
    words = {"jobs", "queries", "tables", "datasets", "models", "endpoints", "operations", "data", "insertAll", "token"}
    start = next((i for i, part in enumerate(parts) if part.split(":")[0] in words - {"datasets"}), 0)
    shaped = []
    for part in parts[start:]:
        name, colon, verb = part.partition(":")
        shaped.append((name if name in words else "*") + colon + verb)
    return "/".join(shaped)


def _let_waiting_cost_nothing() -> None:
    """An outage outlasts the clients' patience: their waiting passes on a clock of its own."""
    sleep, monotonic = time.sleep, time.monotonic
    slept = [0.0]

    def skip(seconds: float) -> None:
        slept[0] += seconds
        sleep(min(seconds, 0.002))

    time.sleep = skip
    time.monotonic = lambda: monotonic() + slept[0]
