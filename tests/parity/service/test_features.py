"""The service computes what the warehouse computes: the same deals and pairs, by BigQuery and in-process, feature by feature."""

import datetime as dt
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from deployment.stages.run import policy_of
from etl.names import Naming
from etl.settings import load_settings
from etl.templates import Templates, in_order
from etl.warehouse import Warehouse
from functions.service.candidate_index import MemoryIndex
from functions.service.feature_program import FeatureProgram
from functions.service.index_keeper import in_utc
from functions.service.policy import serving_policy
from infra.local.bigquery import BigQueryServer

MODEL = "deal_duplicates"
NOW = dt.datetime(2026, 11, 21, 6, tzinfo=dt.UTC)

TITLES = [
    "Sony Turntable PSLX350H 33-1/3 RPM",
    "sony PS-LX350H belt drive turn-table",
    'Größe 7,5" Bildschirm – Übergröße 16 GB',
    "GRÖSSE 7.5 inch bildschirm 16gb",
    "日本語 テレビ 55 インチ 4K",
    "日本語テレビ 55インチ",
    "سماعات بلوتوث لاسلكية JBL",
    "👩‍👩‍👧 Family pack 🎧 x3",
    "Café ﬁne crème brûlée 1,299 ml",
    "cafe\u0301 fine creme brulee 1299ml",
    "a",
    "  spaces\tand\nlines ",
    "!!! ??? ---",
    "word " * 300,
    "İstanbul ΣΊΣΥΦΟΣ ẞ",
    "iPhone 15 Pro 256GB MQ8N2B/A",
]
PRICES = [None, Decimal(0), Decimal("0.01"), Decimal("99.99"), Decimal("99999999999.999999999")]
STARTS = [None, dt.datetime(1970, 1, 1, tzinfo=dt.UTC), dt.datetime(2026, 2, 28, 23, 59, 59, 999999, tzinfo=dt.UTC)]


def deals() -> list[dict[str, Any]]:
    made = []
    for n, title in enumerate(TITLES * 3):
        made.append(
            {
                "source": ("alpha", "beta", "ümlaut")[n % 3],
                "deal_id": f"deal-{n}",
                "title": title,
                "description": (None, "", title[::-1] * 4, "x" * 5_000)[n % 4],
                "brand": (None, "Sony", " Ünïcode ")[n % 3],
                "model_number": (None, "PS-LX350H", "MQ8N2B/A", "")[n % 4],
                "category": (None, "Hi-Fi > Turntables")[n % 2],
                "merchant": (None, "Shop & Co.")[n % 2],
                "url": (None, "https://WWW.Example.com/p/1?utm=x", "ÜBER.example/ß")[n % 3],
                "price": PRICES[n % 5],
                "list_price": PRICES[(n + 2) % 5],
                "currency": (None, "EUR", "USD", "XXX")[n % 4],
                "starts_at": STARTS[n % 3],
                "ends_at": STARTS[(n + 1) % 3],
                "ingested_at": NOW - dt.timedelta(hours=n),
            }
        )
    return made


def labels() -> list[dict[str, Any]]:
    known = deals()
    judged = [(a, b) for a in range(0, 48, 5) for b in range(1, 48, 7) if a != b]
    return [
        {
            "left_source": known[a]["source"],
            "left_id": known[a]["deal_id"],
            "right_source": known[b]["source"],
            "right_id": known[b]["deal_id"],
            "is_duplicate": known[a]["title"] == known[b]["title"],
            "labelled_at": NOW - dt.timedelta(days=1),
            "ingested_at": NOW - dt.timedelta(days=1),
            "origin": "import",
        }
        for a, b in judged
    ]


class World:
    """The warehouse's tables, and the service's program over the same frozen statistics."""

    def __init__(self, folder: Path, endpoint: str) -> None:
        settings = load_settings("local", endpoints={"bigquery": endpoint})
        self.client = bigquery.Client(
            settings.project, AnonymousCredentials(), location="US", client_options={"api_endpoint": endpoint}
        )
        self.templates = Templates.from_tree(MODEL)
        self.policy = policy_of(self.templates)
        self.serving = serving_policy(self.policy)
        self.naming = Naming.of(settings, MODEL)
        self.warehouse = Warehouse(self.client, settings)
        self.client.create_dataset(settings.dataset, exists_ok=True)
        tables = self.naming.tables(self.templates.stems(f"{MODEL}/tables"))
        features = self.templates.stems(f"{MODEL}/features")
        context = {"table": tables, "run_table": self.naming.run_tables(features, "t"), "policy": self.policy}
        for name in ("raw_deals", "labels"):
            self.warehouse.read_arrow(self.templates.render(f"{MODEL}/tables/{name}.sql", context))
        self.load("raw_deals", deals())
        self.load("labels", labels())
        rendered = {n: self.templates.render(f"{MODEL}/features/{n}.sql", context) for n in features}
        parameters = {**self.policy.parameters, "as_of": NOW + dt.timedelta(days=1), "run_id": "r", "model": MODEL}
        for name in in_order({n: r.run_tables for n, r in rendered.items()}, [self.serving.features]):
            self.warehouse.read_arrow(rendered[name], parameters)
        frozen = {name: self.table(name) for name in self.policy.frozen}
        self.program = FeatureProgram(self.templates, self.policy, self.serving, frozen)

    def load(self, name: str, rows: list[dict[str, Any]]) -> None:
        columns = sorted({column for row in rows for column in row})
        as_json = [{c: _plain(row.get(c)) for c in columns} for row in rows]
        assert self.client.insert_rows_json(self.naming.table(name), as_json) == []

    def table(self, name: str) -> Any:
        return self.client.list_rows(self.naming.run_table("t", name)).to_arrow(create_bqstorage_client=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("parity")
    server = BigQueryServer(folder / "state", project="bqloop-local", registry=None, storage_root=folder / "gs")
    server.start()
    yield World(folder, server.endpoint)
    server.stop()


def test_every_feature_of_every_pair_is_the_warehouses_to_the_ninth_decimal(world: World) -> None:
    expected = {_pair(row): row for row in world.table(world.serving.features).to_pylist()}
    got = world.program.compute([in_utc(d) for d in deals()], list(expected))
    assert len(got) == len(expected) > 100
    different: dict[str, Any] = {}
    for row in got:
        for name, wanted in expected[_pair(row)].items():
            if not _same(wanted, row[name]):
                different.setdefault(name, (_pair(row), wanted, row[name]))
    assert different == {}


def test_every_pair_of_deals_with_a_word_has_a_row_of_finite_numbers_whatever_is_missing(world: World) -> None:
    bare = [{"source": "s", "deal_id": str(n), "title": t, "ingested_at": NOW} for n, t in enumerate(TITLES)]
    pairs = [(("s", str(a)), ("s", str(b))) for a in range(len(bare)) for b in range(len(bare)) if str(a) < str(b)]
    rows = world.program.compute([in_utc(d) for d in bare], pairs)
    wordless = str(TITLES.index("!!! ??? ---"))
    assert {_pair(row) for row in rows} >= {(a, b) for a, b in pairs if wordless not in (a[1], b[1])}
    assert all(math.isfinite(v) for row in rows for v in row.values() if isinstance(v, float))


def test_the_index_meets_the_deals_that_the_warehouse_lets_meet(world: World) -> None:
    index = MemoryIndex(world.program, world.serving, [in_utc(d) for d in deals()])
    names = {row["deal_key"]: (row["source"], row["deal_id"]) for row in world.table("clean_deals").to_pylist()}
    expected = {(names[r["left_key"]], names[r["right_key"]]) for r in world.table("candidate_pairs").to_pylist()}
    got = {pair for key in names.values() for pair in index.rivals([(key, key)])}
    assert got == expected


def test_a_new_deal_finds_its_twin_and_is_found_itself_once_it_was_added(world: World) -> None:
    index = MemoryIndex(world.program, world.serving, [in_utc(d) for d in deals()])
    known = {**in_utc(deals()[0]), "source": "gamma", "deal_id": "new"}
    twin = ("alpha", "deal-0")
    assert (twin, ("gamma", "new")) in index.request([known]).candidates()
    assert index.deals([("gamma", "new")]) == {}
    index.add([known])
    again = {**known, "source": "delta"}
    assert (("delta", "new"), ("gamma", "new")) in index.request([again]).candidates()
    assert ("gamma", "new") in index.deals([("gamma", "new")])
    assert (twin, ("gamma", "new")) in index.rivals([(twin, ("x", "y"))])


def test_quotes_in_a_deal_are_text_and_nothing_else(world: World) -> None:
    title = "'; DROP TABLE known_deals; -- \\' \" }]"
    rows = [{"source": s, "deal_id": "1", "title": title, "ingested_at": NOW} for s in ("a", "b")]
    (row,) = world.program.compute([in_utc(r) for r in rows], [(("a", "1"), ("b", "1"))])
    assert row["title_edit"] == 1.0


def _pair(row: Any) -> Any:
    return (row["left_source"], row["left_id"]), (row["right_source"], row["right_id"])


def _same(wanted: Any, got: Any) -> bool:
    if isinstance(wanted, int | float | Decimal) and not isinstance(wanted, bool):
        return got is not None and math.isclose(float(wanted), float(got), rel_tol=1e-9, abs_tol=1e-9)
    return bool(wanted == got)
