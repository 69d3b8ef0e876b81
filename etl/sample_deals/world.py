"""The frame of a generated world: which offers there are, on which day each came up, and what drifts."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass
from functools import cached_property

from etl.sample_deals.draws import Draws

# Offers come in packs about one product: itself, other variants, another merchant. Neighbours in a pack look alike.
PACK = 6
# Days that an offer goes on being posted; so many days before the first one are part of the world, too.
POSTING_DAYS = 7
# How many sources post an offer: the chance of 1, 2, 3 ... of them.
POSTS = (0.42, 0.25, 0.15, 0.10, 0.05, 0.03)
# Chance that a post is sent again a day later, under its own ID, edited.
EDITED = 0.03


@dataclass(frozen=True)
class World:
    """A generated world; two worlds with the same values are the same.

    Attributes:
        seed: Any whole number.
        deals_per_day: How many deals a day brings.
        first_day: The date of day 0.
        drift_from: The day from which on other goods are in season and sources are louder; None: never.
    """

    seed: int
    deals_per_day: int
    first_day: dt.date = dt.date(2026, 1, 1)
    drift_from: int | None = None

    @cached_property
    def draws(self) -> Draws:
        """The world's random numbers."""
        return Draws(self.seed)

    @cached_property
    def offers_per_day(self) -> int:
        """New offers a day, whole packs: enough for `deals_per_day` posts, with a little to spare."""
        posts_per_offer = sum(n * chance for n, chance in enumerate(POSTS, start=1)) * (1 + EDITED)
        return PACK * math.ceil((self.deals_per_day * 1.06 + 10) / posts_per_offer / PACK)

    def offers_of(self, day: int) -> range:
        """The IDs of the offers that come up on a day; the first days' reposts are of offers from before day 0."""
        start = (day + POSTING_DAYS) * self.offers_per_day
        return range(start, start + self.offers_per_day)
