"""What people say becomes labels by a stated rule, and nothing that they say is lost."""

import datetime as dt
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from etl.names import Naming
from etl.settings import load_settings
from etl.templates import Templates
from etl.warehouse import Warehouse
from functions.service.feedback import FeedbackKeeper
from functions.service.payloads import FeedbackRequest
from functions.service.policy import Feedback
from infra.local.bigquery import BigQueryServer

MODEL = "deal_duplicates"


class App:
    """The parts of bqloop that a keeper asks for, on a dataset of its own."""

    def __init__(self, endpoint: str) -> None:
        self.settings = load_settings("local", dataset=f"d{uuid.uuid4().hex[:8]}", endpoints={"bigquery": endpoint})
        self.client = bigquery.Client(
            self.settings.project,
            AnonymousCredentials(),
            location="US",
            client_options={"api_endpoint": endpoint},
        )
        self.client.create_dataset(self.settings.dataset)
        self._templates = Templates.from_tree(MODEL)
        self.naming = Naming.of(self.settings, MODEL)
        tables = {"table": self.naming.tables(self._templates.stems(f"{MODEL}/tables"))}
        for name in ("labels", "inference_log", "feedback", "inferences", "review_queue"):
            self.warehouse(MODEL).read_arrow(self._templates.render(f"{MODEL}/tables/{name}.sql", tables))

    def templates(self, model: str) -> Templates:
        return self._templates

    def warehouse(self, model: str) -> Warehouse:
        return Warehouse(self.client, self.settings)

    def rows(self, table: str) -> list[dict[str, Any]]:
        return self.warehouse(MODEL).rows(self.naming.table(table))


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("feedback")
    server = BigQueryServer(folder / "state", project="bqloop-local", registry=None, storage_root=folder / "gs")
    server.start()
    yield server.endpoint
    server.stop()


@pytest.fixture
def app(endpoint: str) -> App:
    return App(endpoint)


def say(keeper: FeedbackKeeper, who: str, is_duplicate: bool, *, pair: int = 1, swapped: bool = False) -> str:
    left, right = {"source": "a", "deal_id": str(pair)}, {"source": "b", "deal_id": str(pair)}
    if swapped:
        left, right = right, left
    request = FeedbackRequest.model_validate(
        {"left": left, "right": right, "is_duplicate": is_duplicate, "given_by": who}
    )
    return keeper.keep(request, str(uuid.uuid4())).feedback_id


def labelled(app: App) -> list[tuple[str, bool, str]]:
    rows = sorted(app.rows("labels"), key=lambda row: row["ingested_at"])
    return [(row["left_id"], row["is_duplicate"], row["labelled_by"]) for row in rows]


def test_one_voice_makes_a_label_and_saying_it_again_makes_no_other(app: App) -> None:
    keeper = FeedbackKeeper(app, MODEL, Feedback())  # type: ignore[arg-type]
    say(keeper, "ann", True)
    say(keeper, "ann", True, swapped=True)
    assert labelled(app) == [("1", True, "ann")]
    assert len(app.rows("feedback")) == 2


def test_the_majority_settles_a_tie_leaves_open_and_a_change_of_mind_counts(app: App) -> None:
    keeper = FeedbackKeeper(app, MODEL, Feedback())  # type: ignore[arg-type]
    say(keeper, "ann", True)
    say(keeper, "bob", False)  # one to one: the label that ann made stays, no new one is made
    assert labelled(app) == [("1", True, "ann")]
    say(keeper, "cy", False)
    assert labelled(app)[1:] == [("1", False, "3 voices")]
    say(keeper, "bob", True)  # two to one again, the other way
    assert labelled(app)[2:] == [("1", True, "3 voices")]
    assert len(app.rows("feedback")) == 4


def test_one_voice_alone_makes_only_so_many_labels_until_somebody_agrees(app: App) -> None:
    keeper = FeedbackKeeper(app, MODEL, Feedback(labels_per_voice=2))  # type: ignore[arg-type]
    for pair in (1, 2, 3):
        say(keeper, "loud", True, pair=pair)
    assert [left for left, _, _ in labelled(app)] == ["1", "2"]
    say(keeper, "ann", True, pair=3)
    assert labelled(app)[2:] == [("3", True, "2 voices")]


def test_the_review_queue_asks_about_what_nobody_has_judged(app: App) -> None:
    now = dt.datetime.now(dt.UTC).isoformat()
    rows = [
        {
            "inference_id": f"r/{n}",
            "request_id": "r",
            "answered_at": now,
            "route": "score",
            "model": MODEL,
            "version": "1",
            "left_source": "a",
            "left_id": str(n),
            "right_source": "b",
            "right_id": str(n),
            "probability": 0.5 + n / 10,
            "threshold": 0.5,
            "is_duplicate": True,
        }
        for n in (1, 2, 3)
    ]
    assert app.client.insert_rows_json(app.naming.table("inference_log"), [*rows, rows[0]]) == []
    say(FeedbackKeeper(app, MODEL, Feedback()), "ann", True, pair=2)  # type: ignore[arg-type]
    asked = list(app.client.query(f"SELECT * FROM `{app.naming.table('review_queue')}`").result())
    assert sorted(row["left_id"] for row in asked) == ["1", "3"]
    # The sources a and b have a label now, so that distance from the threshold is what is left to ask by.
    assert {row["reason"] for row in asked} <= {"uncertain", "random"}
    assert len(list(app.client.query(f"SELECT * FROM `{app.naming.table('inferences')}`").result())) == 3
