"""A line of the log is an object that Cloud Logging understands."""

import json
from collections.abc import Iterator

import flask
import pytest
import structlog
from werkzeug.datastructures import Headers

from functions.structured_logs import log_as_json, logged_with

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def logged(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    line: dict[str, object] = json.loads(capsys.readouterr().out)
    return line


@pytest.fixture(autouse=True)
def json_logs() -> Iterator[None]:
    log_as_json()
    yield
    structlog.reset_defaults()


def test_severity_message_and_labels_stand_where_cloud_logging_looks(capsys: pytest.CaptureFixture[str]) -> None:
    structlog.get_logger().critical("given up", alert="dead_letter", run_id="r", stage="train", model="m")
    line = logged(capsys)
    assert (line["severity"], line["message"], line["alert"]) == ("CRITICAL", "given up", "dead_letter")
    assert line["logging.googleapis.com/labels"] == {"run_id": "r", "stage": "train", "model": "m"}


@pytest.mark.parametrize(
    "header", [{"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}, {"X-Cloud-Trace-Context": f"{TRACE}/1;o=1"}]
)
def test_lines_of_a_request_bear_its_trace(
    header: dict[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "p")
    for request in (flask.Flask("test").test_request_context(headers=header), logged_with(Headers(header))):
        with request:
            structlog.get_logger().info("done")
        assert logged(capsys)["logging.googleapis.com/trace"] == f"projects/p/traces/{TRACE}"


def test_lines_outside_of_a_request_have_no_trace(capsys: pytest.CaptureFixture[str]) -> None:
    structlog.get_logger().warning("odd")
    assert "logging.googleapis.com/trace" not in logged(capsys)
