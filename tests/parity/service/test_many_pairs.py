"""Ten worlds of odd deals with five thousand labelled pairs each, and the public data sets: the service computes what the warehouse does.

The quick suite takes a slice of one world; the rest runs with `-m slow`.
"""

import csv
import datetime as dt
import os
import random
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from functions.service.index_keeper import in_utc
from functions.service.probes import first_difference
from tests.parity.service.service_world import NOW, World, differences, labelled, pair_of, world_of

DATASETS = Path(os.environ.get("BQLOOP_DATASETS") or Path(__file__).resolve().parents[4] / "shared" / "datasets")
WORDS = [
    "sony",
    "turntable",
    "pslx350h",
    "33-1/3",
    "rpm",
    "1,299.00",
    "3,5",
    "kg",
    "16",
    "gb",
    "256GB",
    "usb-c",
    "hdmi",
    "4k",
    "oled",
    "12”",
    "black",
    "weiß",
    "größe",
    "café",
    "crème",
    "fiancé",
    "ﬁne",
    "Ünï",
    "İstanbul",
    "ΣΊΣΥΦΟΣ",
    "ẞ",
    "Ｗｉｄｅ",
    "½",
    "Ⅷ",
    "²",
    "日本語",
    "東京",
    "タワー",
    "テレビ",
    "노트북",
    "سوق",
    "الإلكترونيات",
    "هاتف",
    "שלום",
    "🎧",
    "👩\u200d👩\u200d👧",
    "🎉",
    "étude",
    "nächste",
    "...",
    "---",
    "!!!",
    "'';",
    "\\",
    '"',
    "}",
    "]",
    "$1",
    "%s",
    "{{x}}",
    "\u2003",
    "\xa0",
    "MQ8N2B/A",
    "DCR-HC52",
    "010-10723-03",
    "v2.0",
    "6.0",
    "p",
]
PRICES = (None, "0", "0.01", "9.99", "99.99", "1299", "99999999999.999999999", "0.000000001")
DATES = (
    None,
    dt.datetime(1970, 1, 1, tzinfo=dt.UTC),
    dt.datetime(2026, 2, 28, 23, 59, 59, 999999, tzinfo=dt.UTC),
    dt.datetime(2028, 2, 29, 0, 0, 0, tzinfo=dt.UTC),
    dt.datetime(9999, 12, 30, tzinfo=dt.UTC),
    dt.datetime(1, 1, 2, tzinfo=dt.UTC),
)


def odd_deals(seed: int, count: int) -> list[dict[str, Any]]:
    draw = random.Random(seed)

    def text(most: int) -> str:
        return " ".join(draw.choices(WORDS, k=draw.randint(1, most)))

    made: list[dict[str, Any]] = []
    for n in range(count):
        twin = made[draw.randrange(len(made))] if made and draw.random() < 0.4 else None
        title = text(12) if twin is None else _changed(draw, twin["title"])
        size = draw.random()
        made.append(
            {
                "source": draw.choice(["alpha", "beta", "ümlaut 店"]),
                "deal_id": f"d{n}",
                "title": title if size > 0.01 else (text(9) + " ") * 60,
                "description": draw.choice([None, "", text(40), title, "x" * 30_000 if size < 0.02 else text(80)]),
                "brand": draw.choice([None, "", "Sony", " Ünïcode ", text(2)]),
                "model_number": draw.choice([None, "", "PS-LX350H", "MQ8N2B/A", text(1)]),
                "category": draw.choice([None, "Hi-Fi > Turntables", text(3)]),
                "merchant": draw.choice([None, "", "Shop & Co.", "商店"]),
                "url": draw.choice([None, "", "https://WWW.Example.com/p/1?utm=x", "ÜBER.example/ß", "no url at all"]),
                "price": _decimal(draw.choice(PRICES)),
                "list_price": _decimal(draw.choice(PRICES)),
                "currency": draw.choice([None, "EUR", "USD", "JPY", "XXX"]),
                "starts_at": draw.choice(DATES),
                "ends_at": draw.choice(DATES),
                "ingested_at": NOW - dt.timedelta(hours=draw.randrange(100)),
            }
        )
    return made


def _changed(draw: random.Random, title: str) -> str:
    words = title.split(" ")
    words[draw.randrange(len(words))] = draw.choice(WORDS)
    return " ".join(words) if draw.random() < 0.7 else title.upper()


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def some_pairs(seed: int, deals: int, count: int) -> list[tuple[int, int]]:
    draw = random.Random(seed)
    found: set[tuple[int, int]] = set()
    while len(found) < count:
        a, b = sorted(draw.sample(range(deals), 2))
        found.add((a, b))
    return sorted(found)


def hold_alike(world: World, deals: list[dict[str, Any]], at_least: int) -> None:
    """Every feature of every labelled pair: the warehouse's, the service's by columns and by loops, and the service's database's."""
    expected = {pair_of(row): row for row in world.labelled_features()}
    assert len(expected) >= at_least
    rivals = [pair for pair in world.compared() if pair not in expected]
    assert world.program.compiled is not None
    rows = [in_utc(deal) for deal in deals]
    got = world.program.compute(rows, list(expected), rivals)
    assert {pair_of(row) for row in got} == expected.keys()
    assert differences(expected, got) == {}
    some = list(expected)[:500]
    in_database = world.program.compute_in_database(rows, some)
    assert first_difference(in_database, world.program.compute(rows, some)) is None
    compiled = world.program.compiled
    for first in range(0, len(some), 20):
        few = some[first : first + 20]
        involved = [row for row in rows if any((row["source"], row["deal_id"]) in pair for pair in few)]
        by_columns = compiled.features(compiled.arriving(involved, few=0), few, few=0)
        by_loops = compiled.features(compiled.arriving(involved), few, few=len(few))
        assert first_difference(by_columns, by_loops) is None


def test_a_slice_of_odd_deals_has_the_warehouses_features(tmp_path: Path) -> None:
    deals = odd_deals(0, 120)
    with world_of(tmp_path, deals, labelled(deals, some_pairs(0, 120, 650))) as world:
        hold_alike(world, deals, 600)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 11))
def test_five_thousand_pairs_of_odd_deals_have_the_warehouses_features(seed: int, tmp_path: Path) -> None:
    deals = odd_deals(seed, 500)
    # Some more, as a deal without a single word is compared with nothing.
    with world_of(tmp_path, deals, labelled(deals, some_pairs(seed, 500, 5_200))) as world:
        hold_alike(world, deals, 5_000)


COLUMNS = {
    "abt_buy": {"deal_id": "id", "title": "name"},
    "amazon_google": {"deal_id": "id", "brand": "manufacturer"},
    "pricerunner": {
        "deal_id": "product_id",
        "title": "product_title",
        "merchant": "vendor_id",
        "category": "category_label",
    },
}


def read(name: str, part: int, parts: int) -> tuple[list[dict[str, Any]], list[tuple[int, int]]]:
    """A share of a data set: its pairs by the hash of the left deal, and the deals of these."""
    folder = DATASETS / name
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    files = ("offers.csv", "offers.csv") if name == "pricerunner" else ("tableA.csv", "tableB.csv")
    sides = [{row[COLUMNS[name]["deal_id"]]: row for row in _rows(folder / file)} for file in files]
    places: dict[tuple[str, str], int] = {}
    deals: list[dict[str, Any]] = []
    pairs: set[tuple[int, int]] = set()
    for file in sorted(folder.glob("*.csv")):
        if file.name in files:
            continue
        for row in _rows(file):
            if int(row["ltable_id"]) % parts != part:
                continue
            ends = []
            for side, column in ((0, "ltable_id"), (1, "rtable_id")):
                source = name if files[0] == files[1] else f"{name}-{side}"
                key = source, row[column]
                if key not in places:
                    places[key] = len(deals)
                    deals.append(_deal(sides[side][row[column]], COLUMNS[name], source))
                ends.append(places[key])
            pairs.add((min(ends), max(ends)))
    return deals, sorted(pairs)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _deal(row: dict[str, str], mapping: dict[str, str], source: str) -> dict[str, Any]:
    fields = {field: row.get(mapping.get(field, field)) or None for field in _TEXTS}
    price = re.search(r"[0-9]+(?:\.[0-9]+)?", row.get("price") or "")
    return {**fields, "source": source, "price": Decimal(price.group()) if price else None, "ingested_at": NOW}


_TEXTS = ("deal_id", "title", "description", "brand", "category", "merchant")


@pytest.mark.slow
@pytest.mark.timeout(1800)  # a twelfth of PriceRunner is a quarter of a million compared pairs
@pytest.mark.parametrize(
    ("name", "part", "parts"),
    [("abt_buy", 0, 1), ("amazon_google", 0, 1), *(("pricerunner", part, 12) for part in range(12))],
)
def test_all_real_pairs_have_the_warehouses_features(name: str, part: int, parts: int, tmp_path: Path) -> None:
    deals, pairs = read(name, part, parts)
    with world_of(tmp_path, deals, labelled(deals, pairs)) as world:
        hold_alike(world, deals, len(pairs))
