"""Labels as a reviewer of generated deals would give them: true pairs, pairs that look true, and a few slips."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa

from etl.sample_deals.draws import Ids, Indexes
from etl.sample_deals.posts import Posts, posts_of
from etl.sample_deals.records import deal_ids
from etl.sample_deals.sources import SOURCES
from etl.sample_deals.world import PACK, World

_REVIEWERS = ("reviewer-1", "reviewer-2", "reviewer-3", "reviewer-4")
_DRAWN_PER_LABEL = 12


def generate_labels(
    world: World,
    day: int,
    count: int,
    *,
    days_back: int = 3,
    positives: float = 0.4,
    easy: float = 0.15,
    error_rate: float = 0.02,
) -> pa.Table:
    """Labels that reviewers give on a day: a pure function of its arguments.

    Each pair has a deal of that day, and another of that day or of the days before. The negative pairs are other offers of
    the same pack (another colour, size, generation, merchant), but for the `easy` ones, which are any two deals.

    Args:
        world: The world.
        day: The day, as for `generate_day`.
        count: How many labels; fewer where the days have not that many pairs.
        days_back: How many days before the day the other deal may have come; never before day 0.
        positives: Share of true duplicates.
        easy: Share of the others that are just any two deals.
        error_rate: Share of verdicts that are wrong.

    Returns:
        Rows for `import_labels`: left_source, left_id, right_source, right_id, is_duplicate, labelled_by, labelled_at.
    """
    draws = world.draws
    window = [posts_of(world, d) for d in range(max(0, day - days_back), day + 1)]
    new = np.concatenate([np.full(len(posts), i == len(window) - 1) for i, posts in enumerate(window)])
    known = Posts(*(np.concatenate([getattr(p, c) for p in window]) for c in ("offer", "place", "revision", "source")))
    first = np.unique(known.post, return_index=True)[1]  # one version of each deal, in the order of offers
    known, new = known[first], new[first]

    anchors = np.flatnonzero(new)
    if len(anchors) == 0:
        return _rows(world, day, known, anchors, anchors, np.zeros(0, bool))
    tries = np.arange(count * _DRAWN_PER_LABEL, dtype=np.int64) + (day + 1) * (1 << 36)
    left = anchors[draws.below("left", tries, len(anchors))]
    alike = _partners(world, tries, known.offer, left)
    lookalike = _partners(world, tries, known.offer // PACK, left)
    anything = draws.below("any", tries, len(known))
    wanted = draws.choice(
        "sort of pair", tries, np.array([positives, (1 - positives) * (1 - easy), (1 - positives) * easy])
    )
    right = np.choose(wanted, [alike, lookalike, anything])
    true = known.offer[left] == known.offer[right]
    fits = np.where(wanted == 0, true, ~true) & (known.post[left] != known.post[right])
    pair = np.minimum(left, right) * np.int64(len(known)) + np.maximum(left, right)
    usable = np.flatnonzero(fits)
    usable = usable[np.sort(np.unique(pair[usable], return_index=True)[1])]
    chosen = _in_shares(wanted[usable], count, positives, easy)
    left, right, true = left[usable][chosen], right[usable][chosen], true[usable][chosen]
    slip = draws.happens("slip", pair[usable][chosen], error_rate)
    return _rows(world, day, known, left, right, true ^ slip)


def _partners(world: World, tries: Ids, group: Indexes, left: Indexes) -> Indexes:
    """For each left deal any deal of its group; groups stand together, as deals are in the order of offers."""
    start = np.searchsorted(group, group[left], side="left")
    end = np.searchsorted(group, group[left], side="right")
    return start + world.draws.below("partner", tries, end - start)


def _in_shares(sorts: Indexes, count: int, positives: float, easy: float) -> Indexes:
    """The first pairs of each sort, as many as their share of `count`, in the order in which they were drawn."""
    negatives = (1 - positives) * count
    shares = [round(positives * count), round(negatives * (1 - easy)), round(negatives * easy)]
    return np.sort(np.concatenate([np.flatnonzero(sorts == sort)[:n] for sort, n in enumerate(shares)]))


def _rows(world: World, day: int, known: Posts, left: Indexes, right: Indexes, verdict: np.ndarray) -> pa.Table:
    names = pa.array([s.name for s in SOURCES])
    reviewer = world.draws.below("reviewer", known.post[left], len(_REVIEWERS))
    at = dt.datetime.combine(world.first_day, dt.time(17), dt.UTC) + dt.timedelta(days=day)
    return pa.table(
        {
            "left_source": names.take(pa.array(known.source[left])),
            "left_id": deal_ids(known[left]),
            "right_source": names.take(pa.array(known.source[right])),
            "right_id": deal_ids(known[right]),
            "is_duplicate": pa.array(verdict),
            "labelled_by": pa.array(_REVIEWERS).take(pa.array(reviewer)),
            "labelled_at": pa.array([at] * len(left), pa.timestamp("us", tz="UTC")),
        }
    )
