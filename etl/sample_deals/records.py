"""Deals as rows of `raw_deals`: words, prices, dates and what the source leaves out."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from etl.sample_deals.draws import Flags, Floats, Ids
from etl.sample_deals.offers import Offers, offers
from etl.sample_deals.posts import Posts
from etl.sample_deals.sources import MERCHANTS, RATES, SOURCES
from etl.sample_deals.titles import put_into_words
from etl.sample_deals.world import PACK, World

_EPOCH = dt.date(1970, 1, 1)
_MICROSECONDS_A_DAY = 86_400_000_000
_MONEY = pa.decimal128(38, 9)


def records(world: World, posts: Posts, day: int) -> pa.Table:
    """The rows of these posts, made on `day`; columns are called as in `raw_deals`."""
    draws, ids = world.draws, posts.version
    offered = offers(world, posts.offer)
    drifted = world.drift_from is not None and day >= world.drift_from
    words = put_into_words(draws, posts, offered, louder=np.full(len(posts), drifted))
    fields = np.array([source.fields for source in SOURCES])[posts.source]

    def told(name: str, column: pa.Array, chance: float = 1.0) -> pa.Array:
        return pc.if_else(pa.array(draws.happens(f"field {name}", ids, fields * chance)), column, None)

    source = pa.array([s.name for s in SOURCES]).take(pa.array(posts.source))
    deal_id = deal_ids(posts)
    merchant = pa.array(MERCHANTS).take(pa.array(offered.merchant))
    price, list_price, priced = _prices(world, posts, offered)
    currency = pa.array([s.currency for s in SOURCES]).take(pa.array(posts.source))
    return pa.table(
        {
            "deal_id": deal_id,
            "source": source,
            "title": words.title,
            "description": told("description", words.description, 1.15),
            "brand": told("brand", words.brand),
            "model_number": told("model_number", words.model_number, 0.6),
            "category": told("category", words.noun),
            "merchant": told("merchant", merchant, 1.25),
            "url": _urls(world, posts, offered, source, deal_id, merchant),
            "price": pc.if_else(pa.array(priced), _money(price), None),
            "list_price": told("list_price", pc.if_else(pa.array(priced), _money(list_price), None), 0.6),
            "currency": pc.if_else(pa.array(priced & draws.happens("currency", ids, 0.95)), currency, None),
            "starts_at": told("starts_at", _instants(world, offered.day, 0), 0.8),
            "ends_at": told(
                "ends_at", _instants(world, offered.day + 3 + draws.below("length", posts.offer // PACK, 12), 22), 0.7
            ),
        }
    )


def deal_ids(posts: Posts) -> pa.Array:
    """IDs that tell nothing: the post's number, scrambled.

    No two numbers below 2**62 get the same ID: an odd factor permutes the residues of a power of two, and so does
    XOR with the upper half.
    """
    below = np.uint64((1 << 62) - 1)
    scrambled = (posts.post.astype(np.uint64) * np.uint64(0x5851F42D4C957F2D)) & below
    return pa.array(scrambled ^ (scrambled >> np.uint64(31))).cast(pa.string())


def _prices(world: World, posts: Posts, offered: Offers) -> tuple[Floats, Floats, Flags]:
    """What the source says that it costs and did cost, in the source's currency, and whether it says so."""
    draws, ids = world.draws, posts.version
    rate = np.array([RATES[s.currency] for s in SOURCES])[posts.source]
    way = draws.choice("price told", ids, np.array([0.66, 0.16, 0.10, 0.08]))
    shipping = np.array([2.99, 3.99, 4.95, 5.99])[draws.below("shipping", ids, 4)]
    moved = offered.price * (0.95 + 0.08 * draws.uniform("price moved", ids))
    euro = np.choose(way, [offered.price, np.round(offered.price), offered.price + shipping, moved])
    euro = np.where(posts.revision > 0, euro * 0.95, euro)
    abroad = rate * np.where(rate == 1.0, 1.0, 0.99 + 0.02 * draws.uniform("exchange", ids))
    before = offered.price * (1.15 + draws.uniform("list price", posts.offer // PACK)) * abroad
    return np.round(euro * abroad, 2), np.ceil(before) - 0.01, draws.happens("priced", ids, 0.9)


def _money(amount: Floats) -> pa.Array:
    return pa.array(amount).cast(_MONEY)


def _instants(world: World, day: Ids, hour: int) -> pa.Array:
    start = (world.first_day - _EPOCH).days
    return pa.array((start + day) * _MICROSECONDS_A_DAY + hour * 3_600_000_000).cast(pa.timestamp("us", tz="UTC"))


def _urls(
    world: World, posts: Posts, offered: Offers, source: pa.Array, deal_id: pa.Array, merchant: pa.Array
) -> pa.Array:
    """The source's own page; or the merchant's, with the source's tracking code."""
    own = pc.binary_join_element_wise("https://www.", source, ".example/deals/", deal_id, "")
    host = pc.replace_substring_regex(pc.utf8_lower(merchant), "[^a-z0-9]", "")
    product = pa.array(world.draws.bits("article", posts.offer).astype(np.int64) & ((1 << 40) - 1)).cast(pa.string())
    shop = pc.binary_join_element_wise("https://", host, ".example/p/", product, "?ref=", source, "")
    links = pa.array(np.array([s.links for s in SOURCES])[posts.source])
    known = pa.array(world.draws.happens("url", posts.version, 0.95))
    return pc.if_else(known, pc.if_else(links, shop, own), None)
