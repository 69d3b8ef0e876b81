"""Prices as shops write them: `399.0`, `1,299.00 €`, `EUR 12,50`, `1 299.- CHF`.

What can be read in one way only is read; what can be read in two is refused: `1,299` is a thousand in one country and
little more than one in the next. A point alone is always the decimal point, as in every data format (`1.299` is 1.299).
"""

from __future__ import annotations

import re
from decimal import Decimal

from etl.ingest.values import exact_number

# Signs that stand for one currency only; `$`, `¥` and `kr` stand for many, and tell nothing.
_SIGNS = {
    "€": "EUR",
    "US$": "USD",
    "£": "GBP",
    "₹": "INR",
    "₩": "KRW",
    "₪": "ILS",
    "₺": "TRY",
    "₴": "UAH",
    "₫": "VND",
    "zł": "PLN",
    "Kč": "CZK",
}
_VAGUE = {"$", "¥", "kr", "kr.", "Fr.", "Fr"}
_SPACES = re.compile(r"[\s\u00a0\u202f]+")
_PARTS = re.compile(
    r"^(?P<before>[^\d\s.,'’+-]*\.?)\s*(?P<number>-?[\d.,'’\s]*\d)(?:[.,](?:-|–|—)+)?\s*(?P<after>\D*)$"
)
_GROUPED = re.compile(
    r"""^-?(?:
      \d{1,3}(?:,\d{3})+\.\d+ |            # 1,299.00
      \d{1,3}(?:,\d{3}){2,} |              # 1,299,000
      \d{1,3}(?:\.\d{3})+,\d+ |            # 1.299,00
      \d{1,3}(?:\.\d{3}){2,} |             # 1.299.000
      \d{1,3}(?:[ '’]\d{3})+(?:[.,]\d+)? | # 1 299,00
      \d+,\d{1,2}                          # 12,50
    )$""",
    re.VERBOSE,
)


def read_price(text: str) -> tuple[Decimal, str | None]:
    """A price and the currency that stands with it, None where none does.

    Raises:
        ValueError: It is no price, can be read in two ways, or is negative.

    >>> read_price("1.299,00 €")
    (Decimal('1299.000000000'), 'EUR')
    """
    cleaned = _SPACES.sub(" ", text).strip()
    parts = _PARTS.match(cleaned)
    if parts is None:
        return _not_negative(exact_number(cleaned)), None
    currency = _currency(parts["before"].strip(), parts["after"].strip())
    return _not_negative(_amount(parts["number"])), currency


def _amount(number: str) -> Decimal:
    if re.fullmatch(r"-?\d+(\.\d+)?", number):
        return exact_number(number)
    if re.fullmatch(r"-?\d{1,3},\d{3}", number):
        raise ValueError("can be read in two ways (thousands or decimals?); write it with a decimal point")
    if not _GROUPED.match(number):
        raise ValueError("is not a number")
    point = max(number.rfind("."), number.rfind(","))
    whole, fraction = (number[:point], number[point + 1 :]) if _has_fraction(number, point) else (number, "")
    return exact_number(re.sub(r"[^\d-]", "", whole) + (f".{fraction}" if fraction else ""))


def _has_fraction(number: str, point: int) -> bool:
    """Whether the last separator is the decimal one: it is not where the same separator stands before it, too."""
    return point >= 0 and number.count(number[point]) == 1


def _currency(before: str, after: str) -> str | None:
    signs = [sign for sign in (before, after) if sign]
    known = {_SIGNS.get(sign, sign.upper()) for sign in signs if sign not in _VAGUE}
    if any(not re.fullmatch("[A-Z]{3}", name) for name in known):
        raise ValueError("is not a number with a currency")
    if len(known) > 1:
        raise ValueError("names two currencies")
    return known.pop() if known else None


def _not_negative(value: Decimal) -> Decimal:
    if value < 0:
        raise ValueError("is negative")
    return value
