"""What is sold in the generated world: kinds of goods, their makers, their sizes and what they cost.

Brands and lines are made up. `drift` is a kind's weight once the world has drifted: other goods are in season.
"""

from __future__ import annotations

from dataclasses import dataclass

LANGUAGES = ("en", "de", "fr", "es", "it", "nl")


@dataclass(frozen=True)
class Goods:
    """One kind of goods.

    Attributes:
        nouns: What it is called, by language as in `LANGUAGES`.
        brands: Its makers.
        lines: Names of product lines.
        unit: What its sizes are measured in; a key of `wording.UNITS`.
        sizes: The sizes that there are, ascending.
        coloured: Whether it comes in colours.
        prices: Lowest and highest usual price, euro.
        weight: How common it is.
        drift: How common it is after a drift.
    """

    nouns: tuple[str, str, str, str, str, str]
    brands: tuple[str, ...]
    lines: tuple[str, ...]
    unit: str
    sizes: tuple[int, ...]
    coloured: bool
    prices: tuple[float, float]
    weight: float
    drift: float


_ELECTRONICS = ("Norvik", "Samtek", "Hikari", "Lumera", "Orbitel", "Kestrel", "Zenbo", "Pantera", "Vokal", "Miratec")
_HOME = ("Bremer & Sohn", "Casanova", "Delvita", "Philius", "Rowenta Nova", "Kruppa", "Steinbach", "Aeria", "Boldt")
_OUTDOOR = ("Trailborn", "Nordkapp", "Veloce", "Montis", "Ridgeway", "Kaskade", "Stratos", "Pacer")
_TOOLS = ("Boscher", "Makido", "Dewelt", "Metaba", "Einhelm", "Ryobo", "Hiltek")
_TOYS = ("Brickton", "Playwerk", "Ravenburg", "Hasbrook", "Tinkertoy Co")
_CARE = ("Lavande", "Braunfels", "Oralis", "Remingway", "Nivella", "Dovelle")

GOODS = (
    Goods(("smartphone", "Smartphone", "smartphone", "móvil", "smartphone", "smartphone"), _ELECTRONICS,
          ("Galaxa", "Pixon", "Nova", "Edge", "Mate", "Prime", "Neo", "Reno"), "GB", (64, 128, 256, 512, 1024),
          True, (129, 1199), 13, 5),
    Goods(("headphones", "Kopfhörer", "casque", "auriculares", "cuffie", "koptelefoon"), _ELECTRONICS,
          ("QuietWave", "Tune", "Momentum", "Pulse", "Airlink", "Elite", "Beat", "Live"), "mm", (30, 40, 50),
          True, (25, 379), 12, 6),
    Goods(("television", "Fernseher", "téléviseur", "televisor", "televisore", "televisie"), _ELECTRONICS,
          ("Bravo", "Viera", "Ambia", "Crystal", "NanoView", "Q-Series"), "inch", (43, 50, 55, 65, 75, 85),
          False, (249, 2499), 9, 4),
    Goods(("laptop", "Notebook", "ordinateur portable", "portátil", "portatile", "laptop"), _ELECTRONICS,
          ("Ideabook", "Thinkline", "Swift", "Aspira", "Zenith", "Pavilio", "Vivo"), "GB", (256, 512, 1024, 2048),
          True, (349, 1999), 10, 5),
    Goods(("monitor", "Monitor", "écran", "monitor", "monitor", "beeldscherm"), _ELECTRONICS,
          ("UltraSharp", "Odyssee", "ProView", "Nitra", "Swiftscreen"), "inch", (24, 27, 32, 34, 49),
          False, (99, 999), 7, 3),
    Goods(("solid state drive", "SSD Festplatte", "disque SSD", "disco SSD", "unità SSD", "SSD schijf"), _ELECTRONICS,
          ("Evo", "Barracuda", "BlackLine", "Kingfast", "Firecell"), "GB", (256, 512, 1024, 2048, 4096),
          False, (25, 349), 7, 3),
    Goods(("coffee machine", "Kaffeemaschine", "machine à café", "cafetera", "macchina da caffè", "koffiemachine"), _HOME,
          ("Barista", "Magnifica", "Piccolo", "Intensa", "LatteGo", "Perfetta"), "bar", (9, 15, 19),
          True, (59, 899), 8, 6),
    Goods(("vacuum cleaner", "Staubsauger", "aspirateur", "aspiradora", "aspirapolvere", "stofzuiger"), _HOME,
          ("Cyclone", "Silentforce", "PowerPro", "Robino", "Flexi", "Turbo"), "W", (400, 600, 750, 900),
          True, (69, 799), 8, 6),
    Goods(("cordless drill", "Akkuschrauber", "perceuse sans fil", "taladro", "trapano", "accuboormachine"), _TOOLS,
          ("ProDrive", "Impact", "Brushless", "Compact", "Hammer"), "V", (12, 14, 18, 36),
          False, (49, 399), 7, 5),
    Goods(("sneakers", "Sneaker", "baskets", "zapatillas", "scarpe da ginnastica", "sneakers"), _OUTDOOR,
          ("Runner", "Court", "Air", "Gel", "Ultra", "Classic", "Trail"), "size", (38, 40, 42, 43, 44, 46),
          True, (29, 189), 9, 7),
    Goods(("building set", "Bausatz", "jeu de construction", "set de construcción", "set di costruzioni", "bouwset"), _TOYS,
          ("City", "Technik", "Space", "Creator", "Ninja", "Castle"), "pieces", (210, 480, 750, 1200, 2300),
          False, (15, 299), 7, 6),
    Goods(("electric toothbrush", "elektrische Zahnbürste", "brosse à dents électrique", "cepillo eléctrico",
           "spazzolino elettrico", "elektrische tandenborstel"), _CARE,
          ("iOral", "SonicGlow", "ProClean", "Vitality", "White"), "pack", (1, 2, 3), True, (19, 249), 6, 5),
    Goods(("e-bike", "E-Bike", "vélo électrique", "bicicleta eléctrica", "bici elettrica", "e-bike"), _OUTDOOR,
          ("Allroad", "City Flow", "Mount", "Cargo", "Fold"), "Wh", (360, 500, 625, 750), True, (899, 3999), 0.5, 12),
    Goods(("air fryer", "Heißluftfritteuse", "friteuse sans huile", "freidora de aire", "friggitrice ad aria", "airfryer"),
          _HOME, ("Crispy", "Vortex", "Airo", "FryMaster", "Duo"), "L", (4, 5, 7, 9), True, (39, 279), 1, 14),
    Goods(("solar power station", "Balkonkraftwerk", "station solaire", "estación solar", "stazione solare", "zonnecentrale"),
          _TOOLS, ("Delta", "River", "Explorer", "Solix", "Yeti"), "Wh", (256, 512, 1024, 2048),
          False, (199, 1999), 0.5, 13),
)  # fmt: skip
