"""What the service says to requests, good and bad."""

import json
from typing import Any

import pytest
from werkzeug.test import Client

from etl.errors import StateError, UnavailableError
from functions.service import routes, wsgi
from functions.service.openapi import document, page
from functions.service.payloads import ScoreAnswer, ScoreRequest

PAIR = {"left": {"source": "a", "deal_id": "1", "title": "x"}, "right": {"source": "b", "deal_id": "2"}}


class FakeService:
    error: Exception | None = None
    asked: list[Any]

    def __init__(self) -> None:
        self.asked = []

    def score(self, body: ScoreRequest, request_id: str) -> ScoreAnswer:
        self.asked.append(body)
        if self.error:
            raise self.error
        return ScoreAnswer(request_id=request_id, model="m", version="1", deployed_model="1", threshold=0.5, results=[])


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> FakeService:
    fake = FakeService()
    monkeypatch.setattr(routes, "service", lambda: fake)
    return fake


def call(
    method: str, path: str, body: Any = None, *, raw: bytes | None = None, mimetype: str = "application/json"
) -> Any:
    data = raw if raw is not None else json.dumps(body).encode()
    answer = Client(wsgi.application).open(path, method=method, data=data, content_type=mimetype)
    return answer.status_code, json.loads(answer.get_data()), answer


def test_a_good_request_is_answered_with_its_id(service: FakeService) -> None:
    status, body, answer = call("POST", "/score", {"pairs": [PAIR]})
    assert status == 200
    assert body["version"] == "1"
    assert len(body["request_id"]) == 36
    assert answer.mimetype == "application/json"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "#/pairs"),
        ({"pairs": []}, "#/pairs"),
        ({"pairs": [{"left": PAIR["left"]}]}, "#/pairs/0/right"),
        ({"pairs": [{**PAIR, "left": {"source": "a", "deal_id": 5}}]}, "#/pairs/0/left/deal_id"),
        ({"pairs": [{**PAIR, "left": {**PAIR["left"], "price": -1}}]}, "#/pairs/0/left/price"),
        ({"pairs": [{**PAIR, "left": {**PAIR["left"], "price": "NaN"}}]}, "#/pairs/0/left/price"),
        ({"pairs": [{**PAIR, "left": {**PAIR["left"], "price": True}}]}, "#/pairs/0/left/price"),
        ({"pairs": [{**PAIR, "left": {**PAIR["left"], "title": "a\x00b"}}]}, "#/pairs/0/left/title"),
        ({"pairs": [{**PAIR, "left": {**PAIR["left"], "title": "x" * 10_001}}]}, "#/pairs/0/left/title"),
        ({"pairs": [{**PAIR, "left": {**PAIR["left"], "currency": "euro"}}]}, "#/pairs/0/left/currency"),
        (
            {"pairs": [{**PAIR, "left": {**PAIR["left"], "starts_at": "0001-01-01T00:00:00+14:00"}}]},
            "#/pairs/0/left/starts_at",
        ),
        ({"pairs": [{**PAIR, "left": {**PAIR["left"], "colour": "red"}}]}, "#/pairs/0/left/colour"),
        ({"pairs": [{**PAIR, "left": {"source": "a", "deal_id": "1", "brand": "x"}}]}, "#/pairs/0/left"),
        ({"pairs": [{"left": PAIR["left"], "right": PAIR["left"]}]}, "#/pairs/0"),
        ({"pairs": [PAIR], "rivals": "none"}, "#/rivals"),
        ([], "#"),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_asked(service: FakeService, body: Any, pointer: str) -> None:
    status, problem, answer = call("POST", "/score", body)
    assert status == 422
    assert answer.mimetype == "application/problem+json"
    assert problem["errors"][0]["pointer"] == pointer
    assert service.asked == []


@pytest.mark.parametrize(
    ("method", "path", "raw", "mimetype", "expected"),
    [
        ("POST", "/score", b"{no", "application/json", 400),
        ("POST", "/score", b"\xff\xfe", "application/json", 400),
        ("POST", "/score", b"[" * 200_000, "application/json", 400),
        ("POST", "/score", b"x" * 10_000_000, "application/json", 413),
        ("POST", "/score", b"<a/>", "application/xml", 415),
        ("GET", "/score", b"", "application/json", 405),
        ("POST", "/nowhere", b"{}", "application/json", 404),
    ],
)
def test_what_is_no_request_gets_a_problem(
    service: FakeService, method: str, path: str, raw: bytes, mimetype: str, expected: int
) -> None:
    status, problem, _ = call(method, path, raw=raw, mimetype=mimetype)
    assert status == problem["status"] == expected
    assert problem["detail"]


@pytest.mark.parametrize(
    ("error", "expected"), [(UnavailableError("away"), 503), (StateError("nobody"), 503), (RuntimeError("bug"), 500)]
)
def test_a_service_that_is_away_is_503_and_a_fault_is_500(
    service: FakeService, error: Exception, expected: int
) -> None:
    service.error = error
    status, problem, answer = call("POST", "/score", {"pairs": [PAIR]})
    assert status == problem["status"] == expected
    assert ("Retry-After" in answer.headers) == (expected == 503)


def test_the_document_describes_every_route_and_refers_only_to_what_it_holds() -> None:
    described = {(path, method.upper()) for path, methods in document()["paths"].items() for method in methods}
    served = {(path, method) for path, methods in routes._ROUTES.items() for method in methods} - {("/docs", "GET")}
    assert described == served | {("/models/{model}/predict", "POST")}
    text = json.dumps(document())
    names = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert names <= set(document()["components"]["schemas"])
    assert "DuplicatesRequest" in page()
