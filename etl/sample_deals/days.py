"""The deals of a generated day, in whole or batch by batch."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from etl.sample_deals.posts import Posts, posts_of
from etl.sample_deals.records import deal_ids, records
from etl.sample_deals.sources import SOURCES
from etl.sample_deals.world import World

BATCH = 50_000


@dataclass(frozen=True)
class DayOfDeals:
    """One day's deals, or a batch of them.

    Attributes:
        deals: Rows for `raw_deals`; columns are called as its fields.
        truth: `source`, `deal_id`, `offer`: deals of one offer are duplicates of each other. Not to be stored with the deals.
        arrived_at: The instant at which they count as having come in: four in the morning of the day, UTC.
    """

    deals: pa.Table
    truth: pa.Table
    arrived_at: dt.datetime


def generate_day(
    seed: int,
    day: int,
    deals_per_day: int,
    *,
    first_day: dt.date = dt.date(2026, 1, 1),
    drift_from: int | None = None,
) -> DayOfDeals:
    """The deals of one day: a pure function of its arguments.

    Some deals of a day are posts of offers that other sources posted on the days before, and a few are deals of the
    day before, edited.

    Args:
        seed: Any whole number; another seed is another world.
        day: 0 and up.
        deals_per_day: About how many deals a day brings; never more.
        first_day: The date of day 0.
        drift_from: The day from which on other goods are in season and sources are louder.
    """
    batches = list(day_batches(World(seed, deals_per_day, first_day, drift_from), day))
    return DayOfDeals(
        pa.concat_tables([b.deals for b in batches]).combine_chunks(),
        pa.concat_tables([b.truth for b in batches]).combine_chunks(),
        batches[0].arrived_at,
    )


def day_batches(world: World, day: int) -> Iterator[DayOfDeals]:
    """The deals of one day in batches of at most `BATCH`, so that a day of any size fits into memory; one at least."""
    posts = posts_of(world, day)
    morning = dt.datetime.combine(world.first_day, dt.time(4), dt.UTC) + dt.timedelta(days=day)
    for start in range(0, max(len(posts), 1), BATCH):
        some = posts[start : start + BATCH]
        yield DayOfDeals(records(world, some, day), _truth(some), morning)


def write_day(world: World, day: int, path: Path) -> int:
    """Write a day's deals to a Parquet file, ready for `import_deals`.

    Returns:
        The number of deals.
    """
    batches = day_batches(world, day)
    first = next(batches)
    rows = len(first.deals)
    with pq.ParquetWriter(path, first.deals.schema, compression="zstd") as writer:
        writer.write_table(first.deals)
        for batch in batches:
            writer.write_table(batch.deals)
            rows += len(batch.deals)
    return rows


def _truth(posts: Posts) -> pa.Table:
    return pa.table(
        {
            "source": pa.array([s.name for s in SOURCES]).take(pa.array(posts.source)),
            "deal_id": deal_ids(posts),
            "offer": pa.array(posts.offer),
        }
    )
