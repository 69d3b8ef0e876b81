"""Who posts which offer on which day: the deals of a day, before they are put into words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etl.sample_deals.draws import Ids, Indexes
from etl.sample_deals.sources import SOURCES
from etl.sample_deals.world import EDITED, POSTING_DAYS, POSTS, World

_DELAYS = np.array([0.60, 0.18, 0.10, 0.06, 0.04, 0.02])
_SAME_SOURCE = 0.08


@dataclass(frozen=True)
class Posts:
    """Deals as numbers, all columns of the same length.

    Attributes:
        offer: The offer that is posted: the truth about what is a duplicate of what.
        place: The how-manieth post of the offer it is.
        revision: 0, or 1 for a post that is sent again, edited.
        source: Place in `SOURCES`.
    """

    offer: Ids
    place: Indexes
    revision: Indexes
    source: Indexes

    @property
    def post(self) -> Ids:
        """A number for each deal: the same for all its versions."""
        return self.offer * 8 + self.place

    @property
    def version(self) -> Ids:
        """A number for each version of a deal."""
        return self.post * 2 + self.revision

    def __getitem__(self, which: slice | Indexes) -> Posts:
        return Posts(self.offer[which], self.place[which], self.revision[which], self.source[which])

    def __len__(self) -> int:
        return len(self.offer)


def posts_of(world: World, day: int) -> Posts:
    """The posts of a day in the order in which they came in: about `world.deals_per_day`, and never more."""
    found = [_posted(world, day, day - back) for back in range(POSTING_DAYS)]
    offer, place, revision = (np.concatenate(column) for column in zip(*found, strict=True))
    order = np.argsort(world.draws.bits("order", (offer * 8 + place) * 2 + revision), kind="stable")
    order = order[: world.deals_per_day]
    offer, place, revision = offer[order], place[order], revision[order]
    return Posts(offer, place, revision, _sources(world, offer, place))


def _posted(world: World, day: int, came_up: int) -> tuple[Ids, Indexes, Indexes]:
    """What is posted on `day` of the offers that came up on day `came_up`."""
    draws = world.draws
    span = world.offers_of(came_up)
    ids = np.arange(span.start, span.stop, dtype=np.int64)
    count = 1 + draws.choice("posts", ids, np.array(POSTS))
    found: list[tuple[Ids, Indexes, Indexes]] = []
    for place in range(len(POSTS)):
        post = ids * 8 + place
        due = came_up + (draws.choice("delay", post, _DELAYS) if place else np.zeros(len(ids), np.int64))
        exists = count > place
        again = exists & draws.happens("edited", post, EDITED)
        for revision, now in ((0, exists & (due == day)), (1, again & (due + 1 == day))):
            chosen = ids[now]
            found.append((chosen, np.full(len(chosen), place), np.full(len(chosen), revision)))
    offer, place_column, revision_column = (np.concatenate(column) for column in zip(*found, strict=True))
    return offer, place_column, revision_column


def _sources(world: World, offer: Ids, place: Indexes) -> Indexes:
    """The source of each post: another one for each post of an offer, but for the few who post twice."""
    draws = world.draws
    first = draws.below("source", offer, len(SOURCES))
    step = np.array([1, 5, 7, 11, 13])[draws.below("step", offer, 5)]  # none divides the number of sources
    twice = draws.happens("same source", offer * 8 + place, _SAME_SOURCE)
    return np.where(twice, first, (first + place * step) % len(SOURCES)).astype(np.int64)
