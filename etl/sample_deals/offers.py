"""What is offered: for each offer its product, variant, merchant and price.

An offer is what deals are duplicates of: one variant of one product, from one merchant, in one campaign. The six
offers of a pack are made to be mistaken for each other: another colour, another size, the next generation, a bundle
or an accessory, another merchant. Some packs come back to a product of an earlier day: a new campaign.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etl.sample_deals.catalogue import GOODS
from etl.sample_deals.draws import Flags, Floats, Ids, Indexes
from etl.sample_deals.sources import MERCHANTS
from etl.sample_deals.wording import COLOURS, EDITIONS
from etl.sample_deals.world import PACK, POSTING_DAYS, World

NEW, BUNDLE, REFURBISHED, ACCESSORY = range(4)
_RETURNING = 0.3
_ROLE_COLOUR, _ROLE_SIZE, _ROLE_GENERATION, _ROLE_CONDITION, _ROLE_RIVAL = 1, 2, 3, 4, 5


@dataclass(frozen=True)
class Offers:
    """Offers by column, all of the same length.

    Attributes:
        offer: ID.
        goods: Place in `GOODS`.
        brand: Place among the goods' brands.
        line: Place among the goods' lines.
        number: The model's number, three or four digits.
        size: Place among the goods' sizes.
        colour: Place in `COLOURS`, -1 where the goods have none.
        edition: Place in `EDITIONS`, -1 for none.
        condition: NEW, BUNDLE, REFURBISHED or ACCESSORY.
        merchant: Place in `MERCHANTS`.
        price: Euro.
        day: The day on which it came up.
    """

    offer: Ids
    goods: Indexes
    brand: Indexes
    line: Indexes
    number: Indexes
    size: Indexes
    colour: Indexes
    edition: Indexes
    condition: Indexes
    merchant: Indexes
    price: Floats
    day: Indexes


def offers(world: World, ids: Ids) -> Offers:
    """The offers of these IDs."""
    draws = world.draws
    pack, role = ids // PACK, ids % PACK
    family = _families(world, pack)
    goods = _goods(world, family)
    rival = (role == _ROLE_RIVAL) & draws.happens("rival is another product", pack, 0.4)
    product = np.where(rival, family + (1 << 44), family)  # another line of the same brand

    lines = np.array([len(g.lines) for g in GOODS])[goods]
    sizes = np.array([len(g.sizes) for g in GOODS])[goods]
    coloured = np.array([g.coloured for g in GOODS])[goods]
    colour = draws.below("colour", family, len(COLOURS))
    colour = np.where(role == _ROLE_COLOUR, (colour + 1 + draws.below("other", pack, 3)) % len(COLOURS), colour)
    edition = np.where(draws.happens("has edition", family, 0.3), draws.below("edition", family, len(EDITIONS)), -1)
    swap = (role == _ROLE_COLOUR) & ~coloured
    edition = np.where(swap, (edition + 1 + draws.below("other edition", pack, 3)) % len(EDITIONS), edition)
    size = draws.below("size", family, sizes)
    size = np.where(role == _ROLE_SIZE, (size + 1) % sizes, size)
    number = 100 + 5 * draws.below("number", product, 170)
    number = np.where(role == _ROLE_GENERATION, number + np.where(draws.happens("step", pack, 0.5), 10, 1), number)
    condition = np.where(role == _ROLE_CONDITION, 1 + draws.below("condition", pack, 3), NEW)
    merchant = draws.below("merchant", pack, len(MERCHANTS))
    elsewhere = ((role == _ROLE_RIVAL) & ~rival) | ((role >= 1) & draws.happens("elsewhere", ids, 0.25))
    merchant = np.where(elsewhere, (merchant + 1 + draws.below("rival merchant", ids, 5)) % len(MERCHANTS), merchant)
    return Offers(
        offer=ids,
        goods=goods,
        brand=draws.below("brand", family, np.array([len(g.brands) for g in GOODS])[goods]),
        line=draws.below("line", product, lines),
        number=number,
        size=size,
        colour=np.where(coloured, colour, -1),
        edition=edition,
        condition=condition,
        merchant=merchant,
        price=_prices(world, family, ids, role, goods, size, condition, elsewhere),
        day=ids // world.offers_per_day - POSTING_DAYS,
    )


def _families(world: World, pack: Ids) -> Ids:
    """The product family of each pack: the pack's own, or that of a pack of the last days."""
    draws = world.draws
    reach = np.minimum(pack, 10 * world.offers_per_day // PACK)
    back = 1 + draws.below("back to", pack, np.maximum(reach, 1))
    return np.where(draws.happens("returns", pack, _RETURNING) & (reach > 0), pack - back, pack)


def _goods(world: World, family: Ids) -> Indexes:
    """The kind of goods of each family, by the season of the day on which the family came up."""
    usual = np.array([g.weight for g in GOODS])
    goods = world.draws.choice("goods", family, usual)
    if world.drift_from is None:
        return goods
    drifted = world.draws.choice("goods", family, np.array([g.drift for g in GOODS]))
    day = family * PACK // world.offers_per_day - POSTING_DAYS
    return np.where(day >= world.drift_from, drifted, goods)


def _prices(
    world: World,
    family: Ids,
    ids: Ids,
    role: Indexes,
    goods: Indexes,
    size: Indexes,
    condition: Indexes,
    elsewhere: Flags,
) -> Floats:
    """Prices in euro: the product's, its variant's, the campaign's, ending the way prices do."""
    draws = world.draws
    low = np.log(np.array([g.prices[0] for g in GOODS]))[goods]
    high = np.log(np.array([g.prices[1] for g in GOODS]))[goods]
    price = np.exp(low + (high - low) * draws.uniform("price", family)) * 1.18**size / 1.18**2
    price *= np.array([1.0, 1.1, 0.72, 0.09])[condition]
    price *= np.where(role == _ROLE_GENERATION, 1.12, 1.0)
    campaign = draws.uniform("campaign", ids // PACK) * 0.3 + 0.82
    rival = 1 + (draws.uniform("rival price", ids) - 0.5) * 0.2
    price *= np.where(ids // PACK == family, 1.0, campaign) * np.where(elsewhere, rival, 1.0)
    ending = np.array([0.99, 0.95, 0.00, 0.90])[draws.choice("ending", ids // PACK, np.array([5.0, 2.0, 3.0, 1.0]))]
    return np.asarray(np.maximum(np.floor(price), 2.0) + ending, np.float64)
