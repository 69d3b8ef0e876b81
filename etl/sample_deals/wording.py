"""How the generated world speaks: colours, sizes, sales talk and conditions in six languages.

Every table is indexed by language as in `catalogue.LANGUAGES`.
"""

from __future__ import annotations

COLOURS = (
    ("black", "schwarz", "noir", "negro", "nero", "zwart"),
    ("white", "weiß", "blanc", "blanco", "bianco", "wit"),
    ("silver", "silber", "argent", "plata", "argento", "zilver"),
    ("blue", "blau", "bleu", "azul", "blu", "blauw"),
    ("red", "rot", "rouge", "rojo", "rosso", "rood"),
    ("green", "grün", "vert", "verde", "verde", "groen"),
    ("grey", "grau", "gris", "gris", "grigio", "grijs"),
    ("gold", "gold", "or", "dorado", "oro", "goud"),
)
COLOUR_CODES = ("B", "W", "S", "L", "R", "G", "Y", "D")

# Ways to write a size: joined, apart, lower case, in words. `{}` is the number; "/" parts the words by language.
UNITS = {
    "GB": ("{}GB", "{} GB", "{}gb", "{} Gigabyte"),
    "TB": ("{}TB", "{} TB", "{}tb", "{} Terabyte"),
    "inch": ('{}"', "{} inch/{} Zoll/{} pouces/{} pulgadas/{} pollici/{} inch", "{}in", "{}''"),
    "mm": ("{}mm", "{} mm", "{}mm", "{} Millimeter"),
    "bar": ("{}bar", "{} bar", "{}bar", "{} Bar"),
    "W": ("{}W", "{} W", "{}w", "{} Watt"),
    "V": ("{}V", "{} V", "{}v", "{} Volt"),
    "Wh": ("{}Wh", "{} Wh", "{}wh", "{} Wattstunden"),
    "L": ("{}L", "{} L", "{}l", "{} Liter"),
    "size": ("EU {}", "size {}/Gr. {}/taille {}/talla {}/taglia {}/maat {}", "eu{}", "{}"),
    "pieces": ("{} pcs", "{} pieces/{} Teile/{} pièces/{} piezas/{} pezzi/{} stukjes", "{}pcs", "{}-piece"),
    "pack": ("{}x", "{} pack/{}er Pack/lot de {}/pack de {}/{} pezzi/{} stuks", "x{}", "pack {}"),
}

OPENINGS = (
    (
        "HOT!",
        "Top deal:",
        "[Amazing]",
        "Price drop!",
        "Lowest price ever:",
        "Today only:",
        "Back again:",
        "Flash sale -",
    ),
    (
        "Knaller!",
        "Top-Angebot:",
        "[Bestpreis]",
        "Preissturz!",
        "Nur heute:",
        "Wieder da:",
        "Mega-Deal:",
        "Blitzangebot -",
    ),
    ("Bon plan :", "Super prix !", "[Promo]", "Vente flash :", "Aujourd'hui seulement :", "De retour :", "Prix choc -"),
    ("¡Chollo!", "Oferta:", "[Mínimo histórico]", "Solo hoy:", "Precio mínimo:", "Oferta flash -", "De nuevo:"),
    ("Offerta!", "Super prezzo:", "[Minimo storico]", "Solo oggi:", "Offerta lampo -", "Di nuovo:", "Bomba:"),
    ("Knaller:", "Topdeal!", "[Laagste prijs]", "Alleen vandaag:", "Weer terug:", "Dagdeal -", "Flitsactie:"),
)
CLOSINGS = (
    ("free shipping", "with voucher", "best price", "incl. delivery", "members only", "limited stock", "code SAVE10"),
    ("versandkostenfrei", "mit Gutschein", "Bestpreis", "inkl. Versand", "nur für Mitglieder", "solange Vorrat reicht"),
    ("livraison gratuite", "avec code promo", "meilleur prix", "adhérents", "stock limité", "via reprise"),
    ("envío gratis", "con cupón", "mejor precio", "solo socios", "unidades limitadas"),
    ("spedizione gratuita", "con coupon", "miglior prezzo", "solo membri", "scorte limitate"),
    ("gratis verzending", "met kortingscode", "beste prijs", "alleen leden", "op=op"),
)
BUNDLES = (
    ("+ carrying case", "+ 2 year warranty", "bundle with charger", "+ gift card", "+ second battery"),
    ("+ Tasche", "+ 2 Jahre Garantie", "im Set mit Ladegerät", "+ Gutscheinkarte", "+ zweiter Akku"),
    ("+ étui", "+ garantie 2 ans", "pack avec chargeur", "+ carte cadeau", "+ deuxième batterie"),
    ("+ funda", "+ 2 años de garantía", "pack con cargador", "+ tarjeta regalo", "+ segunda batería"),
    ("+ custodia", "+ 2 anni di garanzia", "kit con caricatore", "+ carta regalo", "+ seconda batteria"),
    ("+ tas", "+ 2 jaar garantie", "set met lader", "+ cadeaukaart", "+ tweede accu"),
)
PRE_OWNED = (
    ("refurbished", "renewed", "used - very good"),
    ("generalüberholt", "refurbished", "gebraucht - sehr gut"),
    ("reconditionné", "remis à neuf", "occasion - très bon"),
    ("reacondicionado", "renovado", "usado - muy bueno"),
    ("ricondizionato", "rigenerato", "usato - ottimo"),
    ("refurbished", "gereviseerd", "tweedehands - zeer goed"),
)
ACCESSORIES = (
    ("case for", "charger for", "replacement part for", "protective film for"),
    ("Hülle für", "Ladegerät für", "Ersatzteil für", "Schutzfolie für"),
    ("coque pour", "chargeur pour", "pièce de rechange pour", "film protecteur pour"),
    ("funda para", "cargador para", "recambio para", "protector para"),
    ("custodia per", "caricatore per", "ricambio per", "pellicola per"),
    ("hoes voor", "oplader voor", "onderdeel voor", "beschermfolie voor"),
)
EDITIONS = ("Pro", "Plus", "Max", "Lite", "SE", "Ultra")
SENTENCES = (
    ("The {} is on offer while stock lasts.", "Good reviews, delivered in two days.", "Price was higher last week."),
    (
        "Gerade im Angebot, solange der Vorrat reicht: {}.",
        "Gute Bewertungen, Lieferung in zwei Tagen.",
        "Letzte Woche teurer.",
    ),
    (
        "En promotion dans la limite des stocks : {}.",
        "Bonnes notes, livré en deux jours.",
        "Plus cher la semaine dernière.",
    ),
    ("En oferta hasta fin de existencias: {}.", "Buenas opiniones, entrega en dos días.", "La semana pasada más caro."),
    (
        "In offerta fino a esaurimento: {}.",
        "Buone recensioni, consegna in due giorni.",
        "Più caro la settimana scorsa.",
    ),
    ("In de aanbieding zolang de voorraad strekt: {}.", "Goede reviews, binnen twee dagen.", "Vorige week duurder."),
)
# How people shorten words in titles.
ABBREVIATIONS = {
    "headphones": "hdphns", "television": "TV", "Fernseher": "TV", "téléviseur": "TV", "televisor": "TV", "televisie": "TV",
    "televisore": "TV", "solid state drive": "SSD", "Kopfhörer": "KH", "Staubsauger": "Sauger", "Notebook": "NB",
    "smartphone": "phone", "Smartphone": "Handy", "ordinateur portable": "PC portable", "vacuum cleaner": "vac",
    "electric toothbrush": "e-toothbrush", "elektrische Zahnbürste": "E-Zahnbürste", "koptelefoon": "koptel.",
}  # fmt: skip
