"""HTTP requests of Google's own clients, and the answers to them, held against Google's discovery documents.

The documents are those that google-api-python-client carries; a method is found by HTTP method and path, then query
parameters and bodies are compared: unknown names, wrong types, enums and formats, parameters that are missing although
required. What the words of a document mean: https://developers.google.com/discovery/v1/type-format
"""

from __future__ import annotations

import email
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import googleapiclient.discovery_cache.documents as documents
import pytest
import requests
from google.auth.transport.urllib3 import AuthorizedHttp

Schema = Mapping[str, Any]
_FOLDER = Path(str(documents.__path__[0]))
_INTEGER = re.compile(r"-?\d+")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")
# What stands in the place of a resource's name may be anything but a slash, and a colon begins a verb.
_PLACE = re.compile(r"\{\+?(\w+)\}")


@dataclass(frozen=True)
class Request:
    """A request as it left the client.

    Attributes:
        api: Name and version of its discovery document.
        method: GET, POST, ….
        path: From the host on, with its query.
        body: Its JSON; None without one.
        answer: The JSON that was answered; None where it was an error, or no JSON.
    """

    api: str
    method: str
    path: str
    body: Any = None
    answer: Any = None

    def __str__(self) -> str:
        return f"{self.method} {self.path.partition('?')[0]}"


@contextmanager
def recording() -> Iterator[list[Request]]:
    """Keep every request that is sent within the block; `api` is the address, until somebody knows whose it is."""
    kept: list[Request] = []
    send, urlopen = requests.Session.send, AuthorizedHttp.urlopen

    def recorded(session: requests.Session, prepared: requests.PreparedRequest, **rest: Any) -> requests.Response:
        response = send(session, prepared, **rest)
        address, path = _address_and_path(str(prepared.url))
        kept.append(Request(address, str(prepared.method), path, _json_of(prepared), _answer_of(response)))
        return response

    def recorded_plain(http: AuthorizedHttp, method: str, url: str, body: bytes, **rest: Any) -> Any:
        response = urlopen(http, method, url, body=body, **rest)  # type: ignore[no-untyped-call] # untyped package
        answer = json.loads(response.data) if response.status < HTTPStatus.BAD_REQUEST else None
        address, path = _address_and_path(url)
        kept.append(Request(address, method, path, json.loads(body), answer))
        return response

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(requests.Session, "send", recorded)
        patch.setattr(AuthorizedHttp, "urlopen", recorded_plain)
        yield kept


def _address_and_path(whole: str) -> tuple[str, str]:
    url = urlsplit(whole)
    return f"{url.scheme}://{url.netloc}", f"{url.path}?{url.query}" if url.query else url.path


def _json_of(prepared: requests.PreparedRequest) -> Any:
    body, told = prepared.body, prepared.headers.get("Content-Type", "")
    kind = told.decode() if isinstance(told, bytes) else told
    if not body or not isinstance(body, bytes | str):
        return None
    text = body if isinstance(body, bytes) else body.encode()
    if "multipart" in kind:  # an upload: its description, then its content
        parts = email.message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + text).get_payload()
        return json.loads(parts[0].get_payload())  # type: ignore[index,union-attr] # it is multipart
    return json.loads(text) if "json" in kind else None


def _answer_of(response: requests.Response) -> Any:
    is_json = response.ok and "json" in response.headers.get("Content-Type", "")
    return response.json() if is_json else None


@cache
def document(api: str) -> dict[str, Any]:
    """A discovery document, such as `bigquery.v2`."""
    return dict(json.loads((_FOLDER / f"{api}.json").read_text(encoding="utf-8")))


def faults(request: Request) -> list[str]:
    """What Google's document does not allow in a request or in its answer; empty where all is well."""
    told = document(request.api)
    path, _, query = request.path.partition("?")
    if request.method == "PUT" and "upload_id=" in query:
        return []  # the content of an upload, to the address that was given for it
    found = _method(request.api, request.method, path)
    if found is None:
        return [f"{request}: {request.api} has no such method"]
    wrong = list(_query_faults(found, told["parameters"], query))
    expected, answered = found.get("request"), found.get("response")
    if expected is not None:
        wrong += _body_faults("body", request.body or {}, told["schemas"][expected["$ref"]], told["schemas"])
    elif request.body:
        wrong.append("body: it takes none")
    if request.answer is not None and answered is not None:
        wrong += _body_faults("answer", request.answer, told["schemas"][answered["$ref"]], told["schemas"])
    return [f"{found['id']}: {fault}" for fault in wrong]


# What Google's clients send of their own accord, and Google's documents do not have. Nothing of ours may stand here.
_KNOWN = (
    # google-cloud-bigquery's Client.get_job and cancel_job have sent it always.
    r"bigquery\.jobs\.(get|cancel): query: unknown parameter 'projection'",
    # Its ScalarQueryParameter sends a FLOAT64 as a number; the answer has it as it came.
    r"bigquery\.jobs\.(insert|get): (body|answer)\.(\w+\.)+queryParameters\[\d+\]\.parameterValue\.value: [\d.e-]+ is no text",
)


def departures(requests: Iterable[Request], *, ignoring_the_known: bool = True) -> dict[str, int]:
    """Every fault of these requests with how often it came, but for those that are the clients' own."""
    found = Counter(fault for request in requests for fault in faults(request))
    known = _KNOWN if ignoring_the_known else ()
    return {fault: count for fault, count in found.items() if not any(re.fullmatch(k, fault) for k in known)}


def method_id(request: Request) -> str:
    """The document's name for what a request calls; "" where it has none."""
    found = _method(request.api, request.method, request.path.partition("?")[0])
    return str(found["id"]) if found else ""


def _method(api: str, verb: str, path: str) -> dict[str, Any] | None:
    # Vertex AI's clients ask for operations below /ui/; the document has the same methods below /v1/ alone.
    path = path.replace("/ui/", f"/{api.partition('.')[2]}/", 1)
    return next((m for pattern, m in _methods(api) if m["httpMethod"] == verb and pattern.fullmatch(path)), None)


@cache
def _methods(api: str) -> list[tuple[re.Pattern[str], dict[str, Any]]]:
    told = document(api)
    found = []
    for method in _all_methods(told):
        paths = [f"/{told['servicePath']}{method.get('flatPath', method['path'])}"]
        paths += [p["path"] for p in method.get("mediaUpload", {}).get("protocols", {}).values()]
        found += [(_pattern(p), method) for p in paths]
    # Those with more words of their own come first: `models:upload` is no model's name.
    return sorted(found, key=lambda pair: -len(re.sub(r"\[.*?\]\+", "", pair[0].pattern)))


def _all_methods(resource: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    yield from resource.get("methods", {}).values()
    for inner in resource.get("resources", {}).values():
        yield from _all_methods(inner)


def _pattern(template: str) -> re.Pattern[str]:
    words = _PLACE.split(template)
    return re.compile("".join("[^/:]+" if place % 2 else re.escape(word) for place, word in enumerate(words)))


def _query_faults(method: Schema, of_all: Schema, query: str) -> Iterator[str]:
    mine = {n: p for n, p in method.get("parameters", {}).items() if p["location"] == "query"}
    given = parse_qsl(query, keep_blank_values=True)
    for name, text in given:
        # Parameters of every method may be written with a dollar sign: https://cloud.google.com/apis/docs/system-parameters
        told = mine.get(name) or of_all.get(name.removeprefix("$"))
        if name in {"$alt", "alt"} and text.split(";")[0] == "json":
            continue
        if told is None and name != "uploadType":
            yield f"query: unknown parameter {name!r}"
        elif told is not None:
            yield from _text_faults(f"query: {name}", unquote(text), told)
    for name, told in mine.items():
        if told.get("required") and name not in dict(given):
            yield f"query: {name!r} is missing"


def _text_faults(where: str, text: str, told: Schema) -> Iterator[str]:
    kind = told["type"]
    if "enum" in told and text not in told["enum"]:
        yield f"{where}: {text!r} is none of {told['enum']}"
    elif kind == "boolean" and text.lower() not in {"true", "false"}:
        yield f"{where}: {text!r} is no boolean"
    elif (kind == "integer" or told.get("format") in {"int64", "uint64"}) and not _INTEGER.fullmatch(text):
        yield f"{where}: {text!r} is no integer"


def _body_faults(where: str, value: Any, told: Schema, schemas: Schema) -> Iterator[str]:
    if "$ref" in told:
        told = schemas[told["$ref"]]
    if value is None:
        return  # proto3's JSON takes null for a field that is not set
    kind = told.get("type", "any")
    if kind == "object":
        yield from _object_faults(where, value, told, schemas)
    elif kind == "array":
        if not isinstance(value, list):
            yield f"{where}: a list is wanted, and not {value!r}"
            return
        for place, item in enumerate(value):
            yield from _body_faults(f"{where}[{place}]", item, told["items"], schemas)
    elif kind != "any":
        yield from _scalar_faults(where, value, told)


def _object_faults(where: str, value: Any, told: Schema, schemas: Schema) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{where}: an object is wanted, and not {value!r}"
        return
    known, others = told.get("properties", {}), told.get("additionalProperties")
    for name, inner in value.items():
        schema = known.get(name, others)
        if schema is None:
            yield f"{where}: {told.get('id', 'it')} has no field {name!r}"
        else:
            yield from _body_faults(f"{where}.{name}", inner, schema, schemas)


def _scalar_faults(where: str, value: Any, told: Schema) -> Iterator[str]:
    kind, form = told["type"], told.get("format", "")
    if "enum" in told:
        # Clients that ask for `enum-encoding=int` send the number of the name.
        number = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(told["enum"])
        if value not in told["enum"] and not number:
            yield f"{where}: {value!r} is none of {told['enum']}"
    elif form in {"int64", "uint64"} or kind == "integer":
        # Both ways of writing an integer are proto3's JSON; what is no whole number is none.
        if isinstance(value, bool) or not _INTEGER.fullmatch(str(value)):
            yield f"{where}: {value!r} is no integer"
    elif kind == "number":
        if isinstance(value, bool) or not isinstance(value, int | float):
            yield f"{where}: {value!r} is no number"
    elif kind == "boolean":
        if not isinstance(value, bool):
            yield f"{where}: {value!r} is no boolean"
    elif not isinstance(value, str):
        yield f"{where}: {value!r} is no text"
    elif form == "google-datetime" and not _TIME.fullmatch(value):
        yield f"{where}: {value!r} is no time"
