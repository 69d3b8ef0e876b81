"""Deals on which a version's compiled SQL has to agree with DuckDB before it may answer: plain ones, odd ones, empty ones."""

from __future__ import annotations

import datetime as dt
import itertools
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from functions.service.values import Deal, Pair

_TITLES = (
    "Sony PS-LX350H Turntable, 33/45 rpm, 1,299.00 EUR",
    "SONY pslx350h turntable 45 rpm black",
    "Größe Café ﬁne – 12” Ｗｉｄｅ ½ Ⅷ",
    "東京 タワー ブルー 3,5 kg",
    "سوق الإلكترونيات 16 GB",
    "!!! ???",
    "iPhone 15 Pro 256GB MQ8N2B/A 🎉",
    "a",
)
_TOLERANCE = 1e-9


def probe_deals() -> list[Deal]:
    """The deals, each with other fields missing."""
    start = dt.datetime(2026, 2, 27, 23, 59, 59)  # noqa: DTZ001 -- the service's engine holds UTC without a zone
    return [
        {
            "source": ("probe", "ümlaut")[n % 2],
            "deal_id": str(n),
            "title": title,
            "description": (None, "", "Turntable with belt drive, 2.0 kg, PS-LX350H " * 3, title)[n % 4],
            "brand": (None, "Sony", "Ünï")[n % 3],
            "model_number": (None, "PS-LX350H", "")[n % 3],
            "category": (None, "Hi-Fi > Turntables")[n % 2],
            "merchant": ("Shop & Co.", None)[n % 2],
            "url": (None, "https://www.Example.com/p/1?utm=x", "ÜBER.example/ß")[n % 3],
            "price": (None, Decimal(0), Decimal("99.99"), Decimal("120.5"))[n % 4],
            "list_price": (Decimal("129.99"), None)[n % 2],
            "currency": (None, "EUR", "USD")[n % 3],
            "starts_at": (None, start)[n % 2],
            "ends_at": (start + dt.timedelta(days=n), None, start)[n % 3],
            "ingested_at": start,
        }
        for n, title in enumerate(_TITLES)
    ]


def probe_pairs() -> list[Pair]:
    """All pairs of them."""
    keys = sorted((deal["source"], deal["deal_id"]) for deal in probe_deals())
    return list(itertools.combinations(keys, 2))


def first_difference(expected: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]]) -> str | None:
    """What differs first between two results; None where nothing does."""

    def by_pair(rows: Sequence[Mapping[str, Any]]) -> dict[Any, Mapping[str, Any]]:
        return {(r["left_source"], r["left_id"], r["right_source"], r["right_id"]): r for r in rows}

    wanted, got = by_pair(expected), by_pair(found)
    if wanted.keys() != got.keys() or len(expected) != len(found):
        return f"{len(expected)} pairs have features in DuckDB, {len(found)} in the compiled SQL"
    for pair, row in wanted.items():
        if row.keys() != got[pair].keys():
            return f"the columns {', '.join(sorted(row.keys() ^ got[pair].keys()))}"
        for name, value in row.items():
            if not _same(value, got[pair][name]):
                return f"{name} of {pair}: {value!r} in DuckDB, {got[pair][name]!r} in the compiled SQL"
    return None


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float | int):
        return math.isclose(one, other, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)
    return bool(one == other) and type(one) is type(other)
