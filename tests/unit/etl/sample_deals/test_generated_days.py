from __future__ import annotations

import datetime as dt
import subprocess
import sys
from collections import Counter
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from etl.sample_deals import World, days, generate_day, write_day
from etl.sample_deals.draws import Draws
from etl.sample_deals.offers import offers
from etl.sample_deals.world import PACK


def keys(table: pa.Table) -> list[tuple[str, str]]:
    return list(zip(table["source"].to_pylist(), table["deal_id"].to_pylist(), strict=True))


def test_a_day_is_the_same_whenever_and_wherever_it_is_made():
    program = (
        "import hashlib; from etl.sample_deals import generate_day; d = generate_day(5, 3, 200);"
        "print(hashlib.sha256(repr((d.deals.to_pylist(), d.truth.to_pylist())).encode()).hexdigest())"
    )
    made = {subprocess.run([sys.executable, "-c", program], check=True, capture_output=True).stdout for _ in range(2)}
    assert len(made) == 1


def test_a_day_does_not_depend_on_the_size_of_its_batches(monkeypatch):
    whole = generate_day(5, 3, 500)
    monkeypatch.setattr(days, "BATCH", 77)
    assert generate_day(5, 3, 500) == whole


def test_another_seed_or_day_is_other_deals():
    made = [set(keys(generate_day(seed, day, 300).deals)) for seed, day in ((1, 0), (1, 5), (2, 0))]
    titles = [set(generate_day(seed, day, 300).deals["title"].to_pylist()) for seed, day in ((1, 0), (1, 5), (2, 0))]
    assert not made[0] & made[1]
    assert all(len(a & b) < 10 for a, b in pairwise(titles))


@pytest.mark.parametrize("wanted", [1, 50, 3000])
def test_a_day_brings_as_many_deals_as_were_asked_for(wanted):
    for day in (0, 1, 9):
        assert generate_day(1, day, wanted).deals.num_rows == wanted


def test_deals_have_their_required_fields_and_unique_ids():
    made = generate_day(1, 2, 5000)
    assert all(made.deals[name].null_count == 0 for name in ("deal_id", "source", "title"))
    assert min(pc.utf8_length(made.deals["title"]).to_pylist()) > 3
    assert keys(made.deals) == keys(made.truth)
    versions = Counter(keys(made.deals))
    assert sum(n > 1 for n in versions.values()) == 0


def test_any_other_field_is_sometimes_missing():
    deals = generate_day(1, 2, 5000).deals
    for name in set(deals.column_names) - {"deal_id", "source", "title"}:
        assert 0.01 < deals[name].null_count / 5000 < 0.8, name


def test_offers_are_posted_by_several_sources_on_several_days():
    by_day = [generate_day(1, day, 2000).truth for day in range(4)]
    posts = Counter(offer for truth in by_day for offer in truth["offer"].to_pylist())
    assert 0.2 < sum(n > 1 for n in posts.values()) / len(posts) < 0.7
    assert set(by_day[0]["offer"].to_pylist()) & set(by_day[3]["offer"].to_pylist())


def test_some_deals_come_again_the_next_day_with_other_content():
    first, second = (generate_day(1, day, 3000).deals for day in (4, 5))
    before = dict(zip(keys(first), first["title"].to_pylist(), strict=True))
    again = [
        (before[key], title)
        for key, title in zip(keys(second), second["title"].to_pylist(), strict=True)
        if key in before
    ]
    assert len(again) > 20
    assert sum(old != new for old, new in again) > len(again) * 0.8


def test_deals_of_one_offer_are_told_differently():
    made = generate_day(1, 0, 3000)
    titles: dict[int, list[str]] = {}
    for offer, title in zip(made.truth["offer"].to_pylist(), made.deals["title"].to_pylist(), strict=True):
        titles.setdefault(offer, []).append(title)
    several = [t for t in titles.values() if len(t) > 1]
    assert sum(len(set(t)) == len(t) for t in several) / len(several) > 0.95


def test_no_column_tells_which_offer_it_is():
    made = generate_day(1, 0, 3000)
    sizes = Counter(made.truth["offer"].to_pylist())
    pairs = sum(n * (n - 1) // 2 for n in sizes.values())
    offer = np.array(made.truth["offer"])
    for name in ("url", "title", "list_price", "description"):
        groups: dict[object, list[int]] = {}
        for value, o in zip(made.deals[name].to_pylist(), offer, strict=True):
            if value is not None:
                groups.setdefault(value, []).append(o)
        found = sum(sum(c * (c - 1) // 2 for c in Counter(g).values()) for g in groups.values())
        assert found / pairs < 0.15, name


def test_a_pack_is_made_of_look_alikes_that_differ():
    made = offers(World(1, 1000), np.arange(6000, dtype=np.int64))
    pack = made.offer.reshape(-1, PACK)
    same_brand = made.brand.reshape(-1, PACK) == made.brand.reshape(-1, PACK)[:, :1]
    assert pack.shape[1] == PACK
    assert same_brand.all()
    columns = (made.line, made.number, made.size, made.colour, made.edition, made.condition, made.merchant, made.price)
    offered = np.stack([np.asarray(c, np.float64) for c in columns], axis=1)
    twins = sum(len(np.unique(rows, axis=0)) < PACK for rows in offered.reshape(-1, PACK, offered.shape[1]))
    assert twins / len(pack) < 0.02


def test_the_world_drifts_from_the_day_on_that_is_given():
    def seasonal(day: int, drift_from: int | None) -> float:
        nouns = generate_day(1, day, 3000, drift_from=drift_from).deals["description"].to_pylist()
        lines = ("Vortex", "Allroad", "Delta", "Crispy", "Solix", "Airo", "Cargo", "Yeti", "Duo", "River")
        return sum(any(line in text for line in lines) for text in nouns if text) / 3000

    assert generate_day(1, 4, 100, drift_from=5).deals == generate_day(1, 4, 100).deals
    assert seasonal(14, 5) > 5 * seasonal(14, None)


def test_the_instant_of_arrival_is_the_morning_of_the_day():
    made = generate_day(1, 2, 10, first_day=dt.date(2026, 3, 1))
    assert made.arrived_at == dt.datetime(2026, 3, 3, 4, tzinfo=dt.UTC)


def test_a_written_day_is_the_generated_one(tmp_path):
    path = tmp_path / "day.parquet"
    assert write_day(World(1, 300), 2, path) == 300
    assert pq.read_table(path) == generate_day(1, 2, 300).deals


def test_draws_are_even_and_do_not_depend_on_their_neighbours():
    ids = np.arange(100_000, dtype=np.int64)
    drawn = Draws(1).uniform("x", ids)
    counts = np.histogram(drawn, bins=10, range=(0, 1))[0]
    assert abs(counts - 10_000).max() < 400  # four standard deviations of a binomial are 380
    assert abs(np.corrcoef(drawn[:-1], drawn[1:])[0, 1]) < 0.02
    assert Draws(1).uniform("x", ids[500:501])[0] == drawn[500]
    assert abs(np.corrcoef(drawn, Draws(1).uniform("y", ids))[0, 1]) < 0.02


@pytest.mark.slow
def test_a_million_deals_take_less_than_a_minute_and_a_gigabyte():
    program = (
        "import resource, time; from etl.sample_deals import World, day_batches; t = time.perf_counter();"
        "n = sum(len(b.deals) for b in day_batches(World(1, 1_000_000), 0));"
        "print(n, time.perf_counter() - t, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)"
    )
    rows, seconds, memory = map(float, subprocess.check_output([sys.executable, "-c", program]).split())
    assert rows == 1_000_000
    assert seconds < 60
    assert memory < 2**30
