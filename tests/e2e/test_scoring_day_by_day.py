"""Batch scoring day by day: only what is new is worked on, and a rebuild gives the same rows."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest

from bench.loop import MODEL, carry_out, throw_away_cloud
from bench.scale import load_day
from deployment.application import Application
from deployment.stages.message import StageMessage
from deployment.stages.protocol import run_stage
from deployment.stages.train import candidate_alias
from etl.names import run_slug
from etl.sample_deals import World

pytestmark = pytest.mark.slow

FIRST = dt.datetime(2026, 1, 1, 23, tzinfo=dt.UTC)
PAIRS = "left_source, left_id, right_source, right_id, probability, is_duplicate"
DEALS = "source, deal_id, cluster_id, canonical_source, canonical_id, deals, probability"


class Silent:
    """Nobody waits for what follows."""

    def publish(self, message: StageMessage) -> None:
        pass


def score(app: Application, number: int, as_of: dt.datetime, **options: Any) -> Any:
    message = StageMessage(model=MODEL, run_id=f"{MODEL}-score-{number}", stage="score", as_of=as_of, options=options)
    event = run_stage(app.run(message), Silent())
    assert event is not None
    assert event.status == "SUCCEEDED", event.details
    return event


def rows(app: Application, query: str) -> list[tuple[Any, ...]]:
    text = query.replace("DATASET", f"{app.settings.project}.{app.settings.dataset}")
    return sorted(tuple(row.values()) for row in app.bigquery.query(text).result())


def results(app: Application) -> tuple[list[Any], list[Any]]:
    return (
        rows(app, f"SELECT {PAIRS} FROM `DATASET.duplicate_pairs`"),
        rows(app, f"SELECT {DEALS} FROM `DATASET.duplicates`"),
    )


@pytest.fixture(scope="module")
def app() -> Iterator[Application]:
    with throw_away_cloud() as made:
        world = World(11, 500, FIRST.date())
        load_day(made, world, 0, 0, 600)
        run_id = f"{MODEL}-2026-01-01"
        carry_out(made, run_id, FIRST, ("check", "features", "train", "evaluate"))
        made.registry.put_champion(MODEL, candidate_alias(run_slug(MODEL, run_id), "boosted_tree"))
        score(made, 0, FIRST)
        for day in (1, 2):
            load_day(made, world, day, day, 0)
            if day == 2:  # some deals of the first day come again, changed
                change = (
                    "INSERT INTO `DATASET.raw_deals` (deal_id, source, title, price, ingested_at) "
                    "SELECT deal_id, source, CONCAT(title, ' new'), price, TIMESTAMP '2026-01-03 05:00:00+00' "
                    "FROM `DATASET.raw_deals` WHERE DATE(ingested_at) = '2026-01-01' ORDER BY deal_id LIMIT 20"
                )
                rows(made, change)
            score(made, day, FIRST + dt.timedelta(days=day))
        yield made


def test_a_day_works_on_its_new_deals_alone(app: Application) -> None:
    counts = rows(
        app,
        f"SELECT 'worked', COUNT(*) FROM `DATASET.{MODEL}__score_2__clean_deals` UNION ALL "
        "SELECT 'new', COUNT(DISTINCT CONCAT(source, deal_id)) FROM `DATASET.raw_deals` WHERE DATE(ingested_at) = '2026-01-03'",
    )
    worked, new = dict(counts)["worked"], dict(counts)["new"]
    assert worked == new
    assert new < 700


def test_pairs_say_which_run_scored_them(app: Application) -> None:
    by_run = dict(rows(app, "SELECT run_id, COUNT(*) FROM `DATASET.duplicate_pairs` GROUP BY run_id"))
    assert set(by_run) == {f"{MODEL}-score-{n}" for n in (0, 1, 2)}


def test_a_full_rebuild_gives_the_same_rows_changed_deals_included(app: Application) -> None:
    pairs, deals = results(app)
    event = score(app, 9, FIRST + dt.timedelta(days=2, minutes=30), rebuild=True)
    assert event.details["adds_to"] == []
    rebuilt_pairs, rebuilt_deals = results(app)
    assert len(pairs) > 1000
    assert pairs == rebuilt_pairs
    assert deals == rebuilt_deals
