"""A week of serving: on day 3 another kind of deals comes, people say what is wrong, and the loop learns it.

A day is made to pass by moving what was logged and said today to its day; everything else is as in earnest: HTTP, topics,
functions, BigQuery subscriptions, feedback, the monitor's own request for a retrain.
"""

from __future__ import annotations

import datetime as dt
import json
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.cloud.pubsub_v1 import PublisherClient

from deployment.application import Application
from deployment.monitoring.findings import Finding, read_findings
from deployment.monitoring.page import monitoring_page
from etl.ingest import import_deals
from etl.names import Naming, run_slug
from infra.local.cloud import LocalCloud
from tests.e2e.conftest import Starter
from tests.e2e.test_loop import MODEL, import_generated, post, publish_check, runs, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

PAIRS_A_DAY = 216
A_REQUEST = 12
# Verdicts a day, by four people who each stay below `labels_per_voice`. Only a fifth of them judges, beside 202 usual pairs: of
# fewer the gate's lower bound is so near 0 that the luck of the first champion's trees decides whether a challenger wins by day 5.
JUDGED, JUDGED_CLOSELY = 20, 120
PEOPLE = ("ann", "ben", "cem", "dua")
FIRST_SHIFTED, LAST = 3, 7

Pair = dict[str, Any]


class Week:
    """One local cloud whose days the test makes pass."""

    def __init__(self, app: Application, folder: Path) -> None:
        self.app, self.folder = app, folder
        self.random = random.Random(5)
        self.dataset = f"{app.settings.project}.{app.settings.dataset}"
        self.started = dt.datetime.now(dt.UTC)
        self.usual = [
            {**ends, "truth": row["is_duplicate"]}
            for row in app.bigquery.list_rows(f"{self.dataset}.labels")
            if (ends := _ends(row))
        ]

    def pairs(self, day: int) -> list[Pair]:
        """What is asked about on a day, with the truth that people know."""
        if day < FIRST_SHIFTED:
            return self.random.sample(self.usual, PAIRS_A_DAY)
        deals, pairs = [], []
        for n in range(PAIRS_A_DAY):
            truth = self.random.random() < 0.5
            left, right = _spare_part(self.random, day, n, truth)
            deals += [left, right]
            pairs.append({"left": _ref(left), "right": _ref(right), "truth": truth})
        path = self.folder / f"spare-parts-{day}.parquet"
        pq.write_table(pa.Table.from_pylist(deals), path)
        assert import_deals(self.app.warehouse(MODEL), self.app.templates(MODEL), path).rejected == 0
        return pairs

    def live(self, day: int) -> None:
        """Ask, judge, let the day pass, and look."""
        asked = self.pairs(day)
        batches = [asked[first : first + A_REQUEST] for first in range(0, len(asked), A_REQUEST)]
        with ThreadPoolExecutor(2) as threads:
            answers = list(threads.map(self._ask, batches))
        said = [(pair, one, answer) for batch, answer in zip(batches, answers, strict=True)
                for pair, one in zip(batch, answer["results"], strict=True)]  # fmt: skip
        closely = FIRST_SHIFTED <= day <= 5
        # People judge what they were shown as duplicates, and while they look closely what they were not shown, too.
        said.sort(key=lambda one: not one[1]["is_duplicate"])
        shown = [one for one in said if one[1]["is_duplicate"]]
        judged = said[:JUDGED_CLOSELY] if closely else shown[:JUDGED]
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(self._judge, enumerate(judged)))
        self.wait(lambda: self._logged_today() >= len(asked))
        self._pass(day)

    def _ask(self, batch: list[Pair]) -> Any:
        body = {"pairs": [{"left": pair["left"], "right": pair["right"]} for pair in batch]}
        status, answer = post(self.app, "/score", body)
        assert status == 200, answer
        return answer

    def _judge(self, numbered: tuple[int, tuple[Pair, Any, Any]]) -> None:
        number, (pair, one, answer) = numbered
        verdict = {
            "left": one["left"],
            "right": one["right"],
            "is_duplicate": pair["truth"],
            "given_by": PEOPLE[number % len(PEOPLE)],
            "request_id": answer["request_id"],
        }
        status, said = post(self.app, "/feedback", verdict)
        assert status == 200, said

    def _logged_today(self) -> int:
        return self._number(
            f"SELECT COUNT(*) AS n FROM `{self.dataset}.inference_log` WHERE {self._today('answered_at')}"
        )

    @staticmethod
    def _today(column: str) -> str:
        return f"{column} < TIMESTAMP_ADD(CURRENT_TIMESTAMP(), INTERVAL 12 HOUR)"

    def _pass(self, day: int) -> None:
        """What was logged and said today was logged and said on that day: a person's verdicts are counted by the day."""
        for table, column in (("inference_log", "answered_at"), ("feedback", "given_at")):
            update = f"UPDATE `{self.dataset}.{table}` SET {column} = TIMESTAMP_ADD({column}, INTERVAL {day} DAY)"
            self.app.bigquery.query(f"{update} WHERE {self._today(column)}").result()

    def look(self, day: int) -> Finding:
        """The monitor's look at the end of a day; the run that it asks for is waited for."""
        as_of = self.started + dt.timedelta(days=day, hours=6)
        run_id = f"{MODEL}-monitor-day-{day}"
        message = {"model": MODEL, "run_id": run_id, "stage": "monitor", "as_of": as_of.isoformat()}
        topic = self.app.settings.stage_topic("monitor")
        PublisherClient().publish(topic, json.dumps(message).encode()).result(timeout=30)
        self.wait(lambda: any(finding.run_id == run_id for finding in self.findings))
        finding = next(one for one in self.findings if one.run_id == run_id)
        if finding.retrain:
            wait_for(self.app, run_id)
        return finding

    @property
    def findings(self) -> list[Finding]:
        return read_findings(self.app, MODEL)

    @property
    def champion(self) -> str:
        found = self.app.registry.champion(MODEL)
        assert found is not None
        return str(found.version_id)

    def wait(self, done: Any, seconds: float = 600) -> None:
        end = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < end, runs(self.app)
            time.sleep(0.5)

    def _number(self, query: str) -> int:
        (row,) = self.app.bigquery.query(query).result()
        return int(row["n"])


def _ends(row: Any) -> dict[str, Any]:
    return {side: {"source": row[f"{side}_source"], "deal_id": row[f"{side}_id"]} for side in ("left", "right")}


def _ref(deal: dict[str, Any]) -> dict[str, str]:
    return {"source": deal["source"], "deal_id": deal["deal_id"]}


def _spare_part(draw: random.Random, day: int, n: int, truth: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two offers of spare parts: the title names what they fit, and only category, dates and list price tell parts apart."""
    kind = draw.choice(["filter", "gasket", "bearing", "belt", "hinge", "valve", "pump", "seal"])
    title = f"replacement {kind} set for model {draw.choice('kmprx')}{day}{n:03d} series {draw.randrange(100, 999)}"
    start = dt.datetime(2026, 3, 1, tzinfo=dt.UTC) + dt.timedelta(days=draw.randrange(60))
    price = draw.randrange(1_000, 9_000) / 100
    common = {"title": title, "brand": "Fitwell", "price": f"{price:.2f}", "currency": "USD"}
    left = {
        **common,
        "source": "parts-a",
        "deal_id": f"{day}-{n}",
        "category": "garden machines upper housing",
        "list_price": f"{price * 1.2:.2f}",
        "starts_at": start.isoformat(),
    }
    other = {"category": "kitchen drains", "list_price": f"{price * 4:.2f}"}
    later = (start + dt.timedelta(days=45)).isoformat()
    right = {**left, "source": "parts-b"} if truth else {**left, **other, "source": "parts-b", "starts_at": later}
    return left, right


@pytest.fixture
def week(start_cloud: Starter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Week]:
    folder = tmp_path_factory.mktemp("week")
    with start_cloud(folder) as (cloud, app):
        assert isinstance(cloud, LocalCloud)
        import_generated(app, folder, 0)
        publish_check(app, f"{MODEL}-first", dt.datetime.now(dt.UTC))
        assert wait_for(app, f"{MODEL}-first")["state"] == "PROMOTED"
        yield Week(app, folder)


def test_the_services_probabilities_are_those_of_ml_predict_on_the_warehouses_features(week: Week) -> None:
    app, slug = week.app, run_slug(MODEL, f"{MODEL}-first")
    naming = Naming.of(app.settings, MODEL)
    model = app.registry.champion(MODEL).bigquery_model  # type: ignore[union-attr]
    expected: dict[Any, float] = {}
    for table in ("validation_set", "test_set"):
        rows = app.bigquery.query(
            "SELECT left_source, left_id, right_source, right_id, (SELECT p.prob FROM "
            "UNNEST(predicted_is_duplicate_probs) AS p WHERE p.label) AS probability "
            f"FROM ML.PREDICT(MODEL `{model}`, TABLE `{naming.run_table(slug, table)}`)"
        ).result()
        expected |= {tuple(row.values()[:4]): row["probability"] for row in rows}
    pairs = sorted(expected)
    got: dict[Any, float] = {}
    for first in range(0, len(pairs), 50):
        body = [
            {"left": {"source": a, "deal_id": b}, "right": {"source": c, "deal_id": d}}
            for a, b, c, d in pairs[first : first + 50]
        ]
        status, answer = post(app, "/score", {"pairs": body})
        assert status == 200, answer
        for one in answer["results"]:
            key = (one["left"]["source"], one["left"]["deal_id"], one["right"]["source"], one["right"]["deal_id"])
            got[key] = one["probability"]
    assert len(expected) > 100
    assert got == pytest.approx(expected, abs=1e-6)


def test_a_shift_on_day_three_is_found_taught_by_feedback_and_learned(week: Week) -> None:
    first_champion = week.champion
    found: dict[int, Finding] = {}
    champions: dict[int, str] = {}
    for day in range(1, LAST + 1):
        week.live(day)
        found[day] = week.look(day)
        champions[day] = week.champion
    told = {
        day: (f.live_precision, f.score_shift, len(f.drifted), f.retrain, champions[day]) for day, f in found.items()
    }
    page = monitoring_page(MODEL, week.findings)
    (week.folder / "monitoring.html").write_text(page, encoding="utf-8")
    precision = {day: f.live_precision[0] for day, f in found.items() if f.live_precision}
    assert not found[2].retrain, told
    assert found[FIRST_SHIFTED].retrain, told
    assert found[FIRST_SHIFTED].drifted, told
    assert min(precision[day] for day in (1, 2)) > 0.8, told
    assert precision[FIRST_SHIFTED] < 0.7, told
    assert champions[5] != first_champion, told
    assert {row["version"] for row in week.app.ledger(MODEL).read("production_history")} >= {champions[5]}
    assert min(precision[day] for day in (6, 7)) > 0.8, told
    assert page.count("<polyline") == 5
