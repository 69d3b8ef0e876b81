"""Who posts in the generated world: shops, feeds and communities, each with its own way to write."""

from __future__ import annotations

from dataclasses import dataclass

from etl.sample_deals.catalogue import LANGUAGES


@dataclass(frozen=True)
class Source:
    """A source and its habits; chances are between 0 and 1.

    Attributes:
        name: Its name, and the name of its site.
        language: Place in `LANGUAGES`.
        currency: What it gives prices in.
        order: Usual order of a title's words; a key of `titles.ORDERS`.
        spelling: Usual way to write sizes; a place in `wording.UNITS`' tuples.
        talk: Chance of sales talk in a title.
        care: Chance that a detail (brand, size, colour, model number) is told at all.
        fields: Chance that a field of the deal beside the title is filled.
        lower: Whether its titles are all in lower case.
        short: Chance that a word is shortened.
        links: Whether its URL is the merchant's own, not a page of the source.
    """

    name: str
    language: int
    currency: str
    order: int
    spelling: int
    talk: float
    care: float
    fields: float
    lower: bool = False
    short: float = 0.05
    links: bool = False


def _of(language: str, name: str, currency: str, *habits: float, **more: bool | float) -> Source:
    order, spelling, talk, care, fields = habits
    return Source(name, LANGUAGES.index(language), currency, int(order), int(spelling), talk, care, fields, **more)  # type: ignore[arg-type]


SOURCES = (
    _of("en", "dealwatch", "GBP", 0, 0, 0.35, 0.85, 0.70),
    _of("en", "pricehound", "USD", 1, 1, 0.10, 0.92, 0.90),
    _of("en", "bargainboard", "GBP", 2, 2, 0.60, 0.70, 0.45, lower=True, short=0.25),
    _of("en", "shopfeed-uk", "GBP", 1, 1, 0.02, 0.97, 0.95, links=True),
    _of("en", "couponcrew", "USD", 3, 0, 0.70, 0.72, 0.40, short=0.2),
    _of("en", "gadgetdrop", "USD", 0, 2, 0.40, 0.80, 0.60),
    _of("de", "schnappwerk", "EUR", 0, 1, 0.45, 0.82, 0.60),
    _of("de", "preisfuchs", "EUR", 1, 1, 0.08, 0.94, 0.92),
    _of("de", "angebotsblick", "EUR", 2, 0, 0.55, 0.74, 0.50, short=0.2),
    _of("de", "sparschwein-forum", "EUR", 3, 2, 0.65, 0.68, 0.40, lower=True, short=0.3),
    _of("de", "technikfeed", "EUR", 1, 0, 0.02, 0.97, 0.95, links=True),
    _of("de", "alpendeals", "CHF", 0, 3, 0.35, 0.82, 0.65),
    _of("fr", "bonplanfute", "EUR", 0, 1, 0.50, 0.78, 0.55),
    _of("fr", "prixmini", "EUR", 1, 1, 0.10, 0.93, 0.88),
    _of("fr", "promo-tribu", "EUR", 3, 2, 0.60, 0.72, 0.40, short=0.2),
    _of("es", "chollazo", "EUR", 2, 0, 0.60, 0.74, 0.50),
    _of("es", "ofertario", "EUR", 1, 1, 0.12, 0.92, 0.85),
    _of("it", "scontissimo", "EUR", 0, 1, 0.50, 0.78, 0.55),
    _of("it", "trovaprezzo-feed", "EUR", 1, 0, 0.05, 0.94, 0.92),
    _of("nl", "koopjesjacht", "EUR", 2, 2, 0.50, 0.76, 0.50),
    _of("nl", "prijsradar", "EUR", 1, 1, 0.08, 0.93, 0.90),
    _of("en", "nordicdeals", "SEK", 0, 1, 0.30, 0.84, 0.65),
    _of("en", "maple-savings", "CAD", 3, 0, 0.40, 0.80, 0.60),
    _of("de", "osterfundgrube", "PLN", 2, 1, 0.30, 0.80, 0.60),
)  # fmt: skip
MERCHANTS = (
    "MegaMarkt", "Amazonas", "Electropolis", "Conradix", "FNACO", "Boulangerie Tech", "Carriedots", "Bolcom", "Coolshop",
    "Argosy", "Currydays", "Bestbuyers", "Newegghead", "Otterburg", "Notebookshop24", "Mediaplanet", "Unieuropa",
    "Cortefiel", "Galaxhaus", "Zalandia", "Decathlete", "Toolnation", "Alternatech", "Cyberport Ost", "Digitech",
)  # fmt: skip
# Units of each currency for one euro, about as in 2025.
RATES = {"EUR": 1.0, "USD": 1.09, "GBP": 0.85, "CHF": 0.95, "SEK": 11.4, "CAD": 1.49, "PLN": 4.3}
