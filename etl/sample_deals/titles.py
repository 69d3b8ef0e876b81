"""Deals put into words: titles and descriptions as sources write them, column by column in Arrow.

Every word is a column; a source's habit decides which words are left out, how they are spelled and in which order they
stand. Nothing is done row by row but the typing errors.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from etl.sample_deals.catalogue import GOODS, LANGUAGES
from etl.sample_deals.draws import Draws, Flags, Ids, Indexes
from etl.sample_deals.offers import ACCESSORY, BUNDLE, REFURBISHED, Offers
from etl.sample_deals.posts import Posts
from etl.sample_deals.sources import SOURCES
from etl.sample_deals.wording import (
    ABBREVIATIONS,
    ACCESSORIES,
    BUNDLES,
    CLOSINGS,
    COLOUR_CODES,
    COLOURS,
    EDITIONS,
    OPENINGS,
    PRE_OWNED,
    SENTENCES,
    UNITS,
)

ORDERS = (
    ("opening", "accessory", "brand", "line", "edition", "number", "noun", "size", "colour", "condition", "closing"),
    ("accessory", "brand", "noun", "line", "edition", "number", "size", "colour", "condition"),
    ("accessory", "noun", "brand", "line", "edition", "size", "colour", "number", "condition", "closing"),
    ("opening", "accessory", "brand", "line", "number", "edition", "colour", "size", "noun", "condition", "closing"),
)
_TYPO = 0.05


@dataclass(frozen=True)
class Words:
    """A deal's words, a column each; NULL where the source does not tell it.

    Attributes:
        title: The title.
        description: The description.
        brand: The brand in full, always.
        model_number: The model's number in full, always.
        noun: What the thing is called, always.
    """

    title: pa.Array
    description: pa.Array
    brand: pa.Array
    model_number: pa.Array
    noun: pa.Array


def put_into_words(draws: Draws, posts: Posts, offers: Offers, *, louder: Flags) -> Words:
    """The words of deals.

    Args:
        draws: The world's random numbers.
        posts: The deals.
        offers: The offer of each deal.
        louder: Which deals come from a time in which sources are louder.
    """
    ids = posts.version
    language = _habit("language", posts)
    care = _habit("care", posts)
    talk = np.where(louder, 0.8, _habit("talk", posts))
    noun = _take("noun", offers.goods * len(LANGUAGES) + language)
    brand = _take("brand", _starts("brands")[offers.goods] + offers.brand)
    number = _model_number(offers, ids, draws, spelled=False)
    size, other_size = (_size(draws, posts, offers, language, ids, say) for say in ("size", "size again"))
    colour = _take("colour", np.maximum(offers.colour, 0) * len(LANGUAGES) + language)
    has_colour = offers.colour >= 0
    whole = offers.condition != ACCESSORY
    words = {
        "opening": _keep(_phrase("opening", draws, ids, language), draws.happens("opening", ids, talk)),
        "closing": _keep(_phrase("closing", draws, ids, language), draws.happens("closing", ids, talk * 0.7)),
        "accessory": _keep(_phrase("accessory", draws, posts.offer, language), ~whole),
        "brand": _keep(brand, draws.happens("tell brand", ids, care)),
        "line": _take("line", _starts("lines")[offers.goods] + offers.line),
        "edition": _keep(_take("edition", np.maximum(offers.edition, 0)), offers.edition >= 0),
        "number": _keep(
            _model_number(offers, ids, draws, spelled=True), draws.happens("tell number", ids, care * 0.85)
        ),
        "noun": _keep(_shortened(noun, draws, ids, posts), draws.happens("tell noun", ids, 0.75)),
        "size": _keep(size, whole & draws.happens("tell size", ids, care)),
        "colour": _keep(colour, whole & has_colour & draws.happens("tell colour", ids, care)),
        "condition": _condition(draws, posts, offers, language),
    }
    order = np.where(
        draws.happens("other order", ids, 0.15), draws.below("order", ids, len(ORDERS)), _habit("order", posts)
    )
    title = _in_order(words, order.astype(np.int64))
    title = pc.if_else(pa.array(_habit("lower", posts)), pc.utf8_lower(title), title)
    title = _mistyped(title, draws, ids)
    facts = pc.binary_join_element_wise(
        brand,
        words["line"],
        words["edition"],
        _keep(number, draws.happens("describe number", ids, 0.85)),
        _keep(other_size, whole & draws.happens("describe size", ids, 0.9)),
        _keep(colour, whole & has_colour & draws.happens("describe colour", ids, 0.85)),
        words["condition"],
        " ",
        null_handling="skip",
    )
    return Words(title, _description(draws, ids, language, facts), brand, number, noun)


def _habit(name: str, posts: Posts) -> NDArray[Any]:
    """A habit of each deal's source."""
    return np.array([getattr(source, name) for source in SOURCES])[posts.source]


@cache
def _starts(name: str) -> Indexes:
    """Where each kind of goods begins in the words of all of them, one behind the other."""
    return np.concatenate([[0], np.cumsum([len(getattr(g, name)) for g in GOODS])[:-1]]).astype(np.int64)


@cache
def _pool(name: str) -> pa.Array:
    pools: dict[str, list[str]] = {
        "noun": [noun for g in GOODS for noun in g.nouns],
        "brand": [brand for g in GOODS for brand in g.brands],
        "line": [line for g in GOODS for line in g.lines],
        "edition": list(EDITIONS),
        "colour": [word for colour in COLOURS for word in colour],
        "size": [
            _spelled(g.unit, size, language, spelling)
            for g in GOODS
            for size in g.sizes
            for language in range(len(LANGUAGES))
            for spelling in range(4)
        ],
    }
    return pa.array(pools[name])


_PHRASES = {"opening": OPENINGS, "closing": CLOSINGS, "accessory": ACCESSORIES, "bundle": BUNDLES, "used": PRE_OWNED}


def _take(name: str, places: Indexes) -> pa.Array:
    return _pool(name).take(pa.array(places))


def _phrase(name: str, draws: Draws, ids: Ids, language: Indexes) -> pa.Array:
    """One of a language's phrases for each id."""
    table = _PHRASES[name]
    counts = np.array([len(phrases) for phrases in table])
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    flat = pa.array([phrase for phrases in table for phrase in phrases])
    return flat.take(
        pa.array((starts[language] + draws.below(f"phrase {name}", ids, counts[language])).astype(np.int64))
    )


def _keep(words: pa.Array, told: Flags) -> pa.Array:
    return pc.if_else(pa.array(told), words, None)


def _spelled(unit: str, size: int, language: int, spelling: int) -> str:
    if unit == "GB" and size >= 1024 and spelling != 2:
        unit, size = "TB", size // 1024
    ways = UNITS[unit][spelling].split("/")
    return ways[language if len(ways) > 1 else 0].format(size)


def _size(draws: Draws, posts: Posts, offers: Offers, language: Indexes, ids: Ids, purpose: str) -> pa.Array:
    """Sizes, spelled as the source usually does, or now and then otherwise."""
    usual = _habit("spelling", posts)
    spelling = np.where(draws.happens(f"{purpose} spelling", ids, 0.2), draws.below(purpose, ids, 4), usual)
    starts = np.concatenate([[0], np.cumsum([len(g.sizes) for g in GOODS])[:-1]])
    place = (starts[offers.goods] + offers.size) * len(LANGUAGES) + language
    return _take("size", (place * 4 + spelling).astype(np.int64))


def _model_number(offers: Offers, ids: Ids, draws: Draws, *, spelled: bool) -> pa.Array:
    """Model numbers such as NV-720B: maker, number, colour; with `spelled` the ways in which people write them."""
    letters = pa.array([f"{brand[0]}{brand[-1]}".upper() for g in GOODS for brand in g.brands])
    maker = letters.take(pa.array(_starts("brands")[offers.goods] + offers.brand))
    digits = pa.array(offers.number).cast(pa.string())
    code = _keep(pa.array(COLOUR_CODES).take(pa.array(np.maximum(offers.colour, 0))), offers.colour >= 0)
    if not spelled:
        return pc.binary_join_element_wise(maker, "-", digits, code, "", null_handling="skip")
    between = pa.array(["-", "", " "]).take(pa.array(draws.below("dash", ids, 3)))
    code = _keep(code, draws.happens("colour code", ids, 0.4))
    return pc.binary_join_element_wise(maker, between, digits, code, "", null_handling="skip")


def _shortened(noun: pa.Array, draws: Draws, ids: Ids, posts: Posts) -> pa.Array:
    """Nouns, some of them as abbreviations."""
    whole = pa.array(list(ABBREVIATIONS))
    short = pa.array(list(ABBREVIATIONS.values())).take(pc.index_in(noun, whole))
    chosen = pa.array(draws.happens("short", ids, _habit("short", posts)))
    return pc.if_else(pc.and_(chosen, pc.is_valid(short)), short, noun)


def _condition(draws: Draws, posts: Posts, offers: Offers, language: Indexes) -> pa.Array:
    bundle = _phrase("bundle", draws, posts.offer, language)
    used = _phrase("used", draws, posts.version, language)
    return pc.if_else(pa.array(offers.condition == BUNDLE), bundle, _keep(used, offers.condition == REFURBISHED))


def _in_order(words: dict[str, pa.Array], order: Indexes) -> pa.Array:
    """Titles of the words in each row's order."""
    parts, rows = [], []
    for number, names in enumerate(ORDERS):
        chosen = np.flatnonzero(order == number)
        if len(chosen) == 0:
            continue
        places = pa.array(chosen)
        columns = [words[name].take(places) for name in names]
        parts.append(pc.binary_join_element_wise(*columns, " ", null_handling="skip"))
        rows.append(chosen)
    back = np.argsort(np.concatenate(rows), kind="stable")
    return pa.concat_arrays(parts).take(pa.array(back))


def _mistyped(title: pa.Array, draws: Draws, ids: Ids) -> pa.Array:
    """Titles of which some have a letter left out, doubled, or swapped with the next one."""
    chosen = draws.happens("typo", ids, _TYPO)
    where = draws.uniform("typo where", ids[chosen])
    how = draws.below("typo how", ids[chosen], 3)
    typed = []
    for text, share, kind in zip(title.filter(pa.array(chosen)).to_pylist(), where, how, strict=True):
        i = int(share * max(len(text) - 2, 1))
        swap = text[i + 1 : i + 2] + text[i]
        typed.append(text[:i] + ("", text[i] * 2, swap)[kind] + text[i + (2 if kind == 2 else 1) :])
    return pc.replace_with_mask(title, pa.array(chosen), pa.array(typed, pa.string()))


def _description(draws: Draws, ids: Ids, language: Indexes, facts: pa.Array) -> pa.Array:
    """A sentence about the thing and one or two that any deal could have."""
    flat = pa.array([sentence for sentences in SENTENCES for sentence in sentences])
    lead = flat.take(pa.array(language * 3))
    about = pc.binary_join_element_wise(
        pc.list_element(pc.split_pattern(lead, "{}"), 0), facts, pc.list_element(pc.split_pattern(lead, "{}"), 1), ""
    )
    chatter = _keep(
        flat.take(pa.array(language * 3 + 1 + draws.below("chatter", ids, 2))), draws.happens("talk", ids, 0.5)
    )
    return pc.binary_join_element_wise(about, chatter, " ", null_handling="skip")
