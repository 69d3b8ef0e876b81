"""What monitoring found, as people see it."""

import datetime as dt
import json
import re

from deployment.monitoring.findings import finding_of
from deployment.monitoring.page import monitoring_page


def row(day: int, **details: object) -> dict[str, object]:
    as_of = dt.datetime(2026, 5, day, tzinfo=dt.UTC)
    return {"run_id": f"r{day}", "as_of": as_of, "recorded_at": as_of, "details": json.dumps(details)}


FOUND = row(
    3,
    reason="1 features drifted past 0.1: <b>title_edit</b> 0.41",
    champion="7",
    answers={
        "pairs": 412,
        "score_shift": 0.31,
        "p95_ms": 12.5,
        "judged": 20,
        "live_precision": 0.6,
        "live_precision_lower": 0.39,
        "live_precision_upper": 0.78,
    },
    drift=[
        {"subject": "price_ratio", "value": 0.02, "threshold": 0.1, "is_anomaly": False},
        {"subject": "title_edit", "value": 0.41, "threshold": 0.1, "is_anomaly": True},
    ],
    retrain=True,
)


def test_a_finding_tells_live_precision_with_its_interval_and_what_drifted() -> None:
    finding = finding_of(FOUND)
    assert finding.live_precision == (0.6, 0.39, 0.78)
    assert [one["subject"] for one in finding.drifted] == ["title_edit"]
    assert finding.retrain


def test_a_look_without_a_champion_has_nothing_to_tell() -> None:
    finding = finding_of(row(1, reason="there is no champion yet"))
    assert (finding.live_precision, finding.score_shift, finding.drifted, finding.champion) == (None, None, [], None)


def test_the_page_draws_all_looks_and_escapes_what_it_shows() -> None:
    page = monitoring_page("m", [finding_of(row(1, reason="none yet")), finding_of(FOUND)])
    assert "RETRAIN ASKED FOR" in page
    assert "&lt;b&gt;title_edit" in page
    assert "<script" not in page
    assert "<b>title_edit" not in page
    assert len(re.findall("<polyline", page)) == 5  # precision and its bounds, score shift, drift
    assert "0.600" in page
    assert "0.390 – 0.780" in page
