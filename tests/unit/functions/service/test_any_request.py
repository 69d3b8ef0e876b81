"""Whatever is sent, the service answers as its OpenAPI document says, and never with a fault of its own."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis import checks as known_checks
from schemathesis.specs.openapi import checks as openapi_checks

from functions.service import routes
from functions.service.openapi import document
from functions.service.problems import Problem
from functions.service.service import Service
from tests.unit.functions.service.small_service import KNOWN, Log, small_service, wsgi_app

# Whether a request that the schema lets pass is taken is decided by more than the schema: a deal may be unknown.
CHECKS = (
    known_checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_schema_conformance,
)


@pytest.fixture(scope="module")
def made() -> tuple[Service, Log]:
    return small_service()


@pytest.fixture
def log(made: tuple[Service, Log], monkeypatch: pytest.MonkeyPatch) -> Log:
    def no_rows(model: str) -> Any:
        raise Problem(HTTPStatus.NOT_FOUND, f"no model {model!r} of single rows is served here")

    monkeypatch.setattr(routes, "service", lambda: made[0])
    monkeypatch.setattr(routes, "row_service", no_rows)
    made[1].rows.clear()  # requests of other tests may have been right
    return made[1]


OPERATIONS = [
    ("POST", "/score"),
    ("POST", "/duplicates"),
    ("POST", "/feedback"),
    ("POST", "/models/{model}/predict"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/openapi.json"),
]


def test_all_operations_of_the_document_are_tried() -> None:
    found = [(method.upper(), path) for path, methods in document()["paths"].items() for method in methods]
    assert sorted(found) == sorted(OPERATIONS)


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_answer_is_what_the_document_says(log: Log, method: str, path: str, mode: GenerationMode) -> None:
    operation = schemathesis.openapi.from_wsgi("/openapi.json", wsgi_app())[path][method]
    if method == "GET" and mode is GenerationMode.NEGATIVE:
        pytest.skip("there is nothing to get wrong")

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
    @given(case=operation.as_strategy(generation_mode=mode))
    def hold(case: Any) -> None:
        case.call_and_validate(checks=CHECKS)

    hold()


def post(path: str, body: bytes, mimetype: str = "application/json") -> tuple[int, dict[str, Any]]:
    answer = wsgi_app().test_client().post(path, data=body, content_type=mimetype)
    return answer.status_code, json.loads(answer.get_data())


NEW = {"source": "new", "deal_id": "1", "title": "Sony PSLX350H turntable"}


@pytest.mark.parametrize("path", ["/score", "/duplicates", "/feedback"])
def test_a_body_of_ten_megabytes_is_too_large(log: Log, path: str) -> None:
    status, problem = post(path, json.dumps({"deals": [{**NEW, "description": "x" * 10_000_000}]}).encode())
    assert status == 413
    assert "bytes at most" in problem["detail"]
    assert log.rows == []


@pytest.mark.parametrize("path", ["/score", "/duplicates", "/feedback"])
@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"deals":' * 50_000 + b"1" + b"}" * 50_000,
        json.dumps({"deals": [{**NEW, "attributes": {"a": 1}}]})
        .replace("1}", "[" * 5_000 + "]" * 5_000 + "}")
        .encode(),
        b'{"deals": [{"source": "a", "deal_id": "1", "title": "\\ud800"}]}',
        b"\xff\xfe",
        b"",
        b"null",
        b"1e999",
        b'{"pairs": 1, "deals": "x", "left": []}',
    ],
)
def test_bodies_that_cannot_be_meant_get_a_clear_4xx(log: Log, path: str, body: bytes) -> None:
    status, problem = post(path, body)
    assert 400 <= status < 500
    assert problem["status"] == status
    assert problem["detail"]
    assert log.rows == []


def test_ten_thousand_deals_in_a_call_are_too_many(log: Log) -> None:
    deals = [{**NEW, "deal_id": str(n)} for n in range(10_000)]
    status, problem = post("/duplicates", json.dumps({"deals": deals}).encode())
    assert status == 422
    assert problem["errors"] == [{"pointer": "#/deals", "detail": "at most 100 a request, there are 10000"}]
    pairs = [{"left": deal, "right": {"source": "a", "deal_id": "0"}} for deal in deals]
    status, problem = post("/score", json.dumps({"pairs": pairs}).encode())
    assert (status, problem["errors"][0]["pointer"]) == (422, "#/pairs")
    assert log.rows == []


def test_a_new_deal_finds_its_duplicates_and_each_pair_is_logged(log: Log) -> None:
    status, body = post("/duplicates", json.dumps({"deals": [NEW], "all_candidates": True}).encode())
    assert status == 200
    (found,) = body["results"]
    assert found["candidates"] == len(found["duplicates"]) == len(log.rows) >= 2
    best = found["duplicates"][0]
    assert "sony" in next(d["title"] for d in KNOWN if d["deal_id"] == best["left"]["deal_id"]).lower()
    log.rows.clear()
