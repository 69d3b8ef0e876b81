"""The service computes what the warehouse computes: the same deals and pairs, by BigQuery and in-process, feature by feature."""

import datetime as dt
import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from functions.service.candidate_index import MemoryIndex
from functions.service.compact_index import CompactIndex
from functions.service.index_keeper import in_utc
from functions.service.values import Pair
from functions.service.warehouse_index import WarehouseIndex
from tests.parity.service.service_world import MODEL, NOW, World, differences, labelled, pair_of, world_of

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
    judged = [(a, b) for a in range(0, 48, 5) for b in range(1, 48, 7) if a != b]
    return labelled(deals(), judged)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with world_of(tmp_path_factory.mktemp("parity"), deals(), labels()) as made:
        yield made


def memory_index(world: World, compared: Sequence[Pair] = ()) -> MemoryIndex:
    return MemoryIndex(world.program, world.serving, [in_utc(d) for d in deals()], compared)


def compact_index(world: World, compared: Sequence[Pair] = ()) -> CompactIndex:
    assert world.program.compiled is not None
    return CompactIndex.of(world.program.compiled, [in_utc(d) for d in deals()], compared)


def test_every_feature_of_every_pair_is_the_warehouses_to_the_ninth_decimal(world: World) -> None:
    expected = {pair_of(row): row for row in world.table(world.serving.features).to_pylist()}
    assert world.program.compiled is not None
    got = world.program.compute([in_utc(d) for d in deals()], list(expected))
    assert len(got) == len(expected) > 100
    assert differences(expected, got) == {}


def test_every_pair_of_deals_with_a_word_has_a_row_of_finite_numbers_whatever_is_missing(world: World) -> None:
    bare = [{"source": "s", "deal_id": str(n), "title": t, "ingested_at": NOW} for n, t in enumerate(TITLES)]
    pairs = [(("s", str(a)), ("s", str(b))) for a in range(len(bare)) for b in range(len(bare)) if str(a) < str(b)]
    rows = world.program.compute([in_utc(d) for d in bare], pairs)
    wordless = str(TITLES.index("!!! ??? ---"))
    assert {pair_of(row) for row in rows} >= {(a, b) for a, b in pairs if wordless not in (a[1], b[1])}
    assert all(math.isfinite(v) for row in rows for v in row.values() if isinstance(v, float))


def test_loops_over_a_few_pairs_among_their_rivals_give_what_columns_give(world: World) -> None:
    compiled, rows = world.program.compiled, [in_utc(d) for d in deals()]
    assert compiled is not None
    assert compiled.loops is not None
    pairs = [pair_of(row) for row in world.table(world.serving.features).to_pylist()]
    for first in range(0, len(pairs), 60):
        asked, rivals = pairs[first : first + 20], pairs[first + 20 : first + 60]
        expected = compiled.features(compiled.arriving(rows, few=0), asked, rivals, few=0)
        got = compiled.features(compiled.arriving(rows, few=100), asked, rivals, few=60)
        assert len(got) == len(expected) == len(asked)
        assert differences({pair_of(row): row for row in expected}, got) == {}


@pytest.mark.parametrize("make", [memory_index, compact_index])
def test_the_index_meets_the_deals_that_the_warehouse_lets_meet(world: World, make: Any) -> None:
    index = make(world)
    names = {row["deal_key"]: (row["source"], row["deal_id"]) for row in world.table("clean_deals").to_pylist()}
    expected = {(names[r["left_key"]], names[r["right_key"]]) for r in world.table("candidate_pairs").to_pylist()}
    got = {pair for key in names.values() for pair in index.rivals([(key, key)])}
    assert got == expected


@pytest.mark.parametrize("make", [memory_index, compact_index])
def test_a_new_deal_finds_its_twin_and_is_found_itself_once_it_was_added(world: World, make: Any) -> None:
    index = make(world)
    known = {**in_utc(deals()[0]), "source": "gamma", "deal_id": "new"}
    twin = ("alpha", "deal-0")
    assert (twin, ("gamma", "new")) in index.request([known]).candidates()
    assert index.deals([("gamma", "new")]) == {}
    index.add([known])
    again = {**known, "source": "delta"}
    assert (("delta", "new"), ("gamma", "new")) in index.request([again]).candidates()
    assert ("gamma", "new") in index.deals([("gamma", "new")])
    assert (twin, ("gamma", "new")) in index.rivals([(twin, ("x", "y"))])


@pytest.mark.parametrize("make", [memory_index, compact_index])
@pytest.mark.parametrize("at_once", [1, 9, 100])
def test_a_labelled_pair_stands_among_its_rivals_as_in_training_whoever_is_asked_about_with_it(
    world: World, make: Any, at_once: int
) -> None:
    expected = {pair_of(row): row for row in world.labelled_features()}
    index, pairs = make(world, sorted(expected)), sorted(expected)
    for first in range(0, len(pairs), at_once):
        asked = pairs[first : first + at_once]
        got = index.request([]).features(world.program, asked, index.rivals(asked))
        assert len(got) == len(asked)
        assert differences(expected, got) == {}


def test_quotes_in_a_deal_are_text_and_nothing_else(world: World) -> None:
    title = "'; DROP TABLE known_deals; -- \\' \" }]"
    rows = [{"source": s, "deal_id": "1", "title": title, "ingested_at": NOW} for s in ("a", "b")]
    (row,) = world.program.compute([in_utc(r) for r in rows], [(("a", "1"), ("b", "1"))])
    assert row["title_edit"] == 1.0


def test_an_index_in_files_gives_what_the_one_in_memory_gives_and_takes_new_deals(world: World, tmp_path: Any) -> None:
    in_memory = compact_index(world)
    assert CompactIndex.write(in_memory.features, [in_utc(d) for d in deals()], tmp_path) == len(deals())
    index = CompactIndex.read(in_memory.features, tmp_path)
    new = [{**in_utc(deal), "source": "asked"} for deal in deals()[:9]]
    assert sorted(index.request(new).candidates()) == sorted(in_memory.request(new).candidates())
    keys = [(deal["source"], deal["deal_id"]) for deal in deals()]
    assert index.deals(keys) == in_memory.deals(keys)
    assert index.rivals([(keys[0], keys[1])]) == in_memory.rivals([(keys[0], keys[1])])
    for deal in new:
        index.add([deal])
    assert len(index) == len(deals()) + 9
    changed = {**new[0], "title": "something else altogether", "description": None, "brand": None, "model_number": None}
    index.add([changed])
    assert len(index) == len(deals()) + 9
    assert index.deals([("asked", changed["deal_id"])])["asked", changed["deal_id"]]["title"] == changed["title"]


def test_features_of_new_deals_beside_known_ones_are_those_of_all_deals_given(world: World) -> None:
    index = compact_index(world)
    new = {**in_utc(deals()[0]), "source": "asked", "deal_id": "new"}
    beside = index.request([new])
    pairs = beside.candidates()
    rivals = sorted(index.rivals(pairs) - set(pairs))
    everything = [new, *(in_utc(deal) for deal in deals())]
    expected = world.program.compute_in_database(everything, [*pairs, *rivals])
    for among in (rivals, index.rivals(pairs)):  # computed by the request, and as the index keeps them
        got = beside.features(world.program, pairs, among)
        assert {pair_of(row) for row in got} == set(pairs)
        assert differences({pair_of(row): row for row in expected}, got) == {}


def warehouse_index(world: World) -> WarehouseIndex:
    """The index in BigQuery, of the tables that the world's run made."""
    names = world.templates.stems(f"{MODEL}/features")
    tables = world.naming.run_tables(names, "t")
    raw = world.naming.tables(world.templates.stems(f"{MODEL}/tables"))

    def ask(statement: str, parameters: Any, context: Any) -> Any:
        more = dict(context)
        if "summarised_table" in more:
            more["summarised_table"] = getattr(tables, more["summarised_table"])
        rendered = world.templates.render(f"{MODEL}/serve/{statement}.sql", {"run_table": tables, "table": raw, **more})
        return [in_utc(row) for row in world.warehouse.read(rendered, parameters)]

    class Known:
        def deals(self, keys: Any) -> Any:
            return {key: row for key, row in known.items() if key in keys}

    known = {(deal["source"], deal["deal_id"]): in_utc(deal) for deal in deals()}
    assert world.program.compiled is not None
    return WarehouseIndex(world.program.compiled, ask, Known())


def test_the_index_in_bigquery_finds_what_the_one_in_memory_finds(world: World) -> None:
    in_memory, index = compact_index(world), warehouse_index(world)
    in_memory.remember(ordered_pairs(world))
    for place in (0, 4, 9):
        new = {**in_utc(deals()[place]), "source": "asked", "deal_id": "new"}
        pairs = sorted(index.request([new]).candidates())
        assert pairs == sorted(in_memory.request([new]).candidates())
        rivals = sorted(index.rivals(pairs) - set(pairs))
        assert rivals == sorted(in_memory.rivals(pairs) - set(pairs))
        got = index.request([new]).features(world.program, pairs, rivals)
        expected = in_memory.request([new]).features(world.program, pairs, rivals)
        assert differences({pair_of(row): row for row in expected}, got) == {}
    index.add([new])
    again = {**new, "deal_id": "again"}
    assert (("asked", "again"), ("asked", "new")) in index.request([again]).candidates()
    assert index.deals([("asked", "new")])["asked", "new"]["title"] == new["title"]


def ordered_pairs(world: World) -> list[Any]:
    names = {row["deal_key"]: (row["source"], row["deal_id"]) for row in world.table("clean_deals").to_pylist()}
    return [(names[r["left_key"]], names[r["right_key"]]) for r in world.table("compared_pairs").to_pylist()]
