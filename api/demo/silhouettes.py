"""Silhouettes of the demo catalog: garments and their cuts."""

from __future__ import annotations

from typing import Final, NamedTuple


class Family(NamedTuple):
    """Garments that the same cuts suit. `cents` is the range of their prices."""

    category: str
    cents: tuple[int, int]
    cuts: tuple[str, ...]
    garments: tuple[str, ...]


FAMILIES: Final = (
    Family(
        "top",
        (2400, 7900),
        ("Boxy", "Cropped", "Longline", "Relaxed", "Slim", "Tailored"),
        (
            *("band-collar shirt", "boatneck top", "camp-collar shirt", "cowl-neck blouse", "henley", "mock-neck top"),
            *(
                "Oxford shirt",
                "peplum blouse",
                "pintuck shirt",
                "polo shirt",
                "puff-sleeve blouse",
                "raglan sweatshirt",
            ),
            *("sleeveless shell", "tie-neck blouse", "tunic", "V-neck jumper", "waistcoat", "wrap blouse"),
        ),
    ),
    Family(
        "bottom",
        (3400, 9900),
        ("Ankle-length", "Cropped", "Full-length", "High-waisted", "Low-rise", "Paperbag-waist"),
        (
            *(
                "barrel-leg trousers",
                "bootcut jeans",
                "cargo trousers",
                "carpenter jeans",
                "cigarette trousers",
                "palazzo trousers",
            ),
            *("flared trousers", "pleated trousers", "sailor trousers", "straight-leg jeans", "track pants"),
            *("wide-leg trousers",),
        ),
    ),
    Family(
        "bottom",
        (2900, 8400),
        ("Asymmetric", "Knee-length", "Maxi", "Midi", "Mini"),
        ("A-line skirt", "circle skirt", "kilt", "pencil skirt", "pleated skirt", "tulip skirt", "wrap skirt"),
    ),
    Family(
        "dress",
        (4900, 17900),
        ("Belted", "Knee-length", "Maxi", "Midi", "Mini", "Sleeveless"),
        (
            *("A-line dress", "column dress", "empire dress", "fit-and-flare dress", "halter dress", "pinafore dress"),
            *("pleated dress", "sheath dress", "shift dress", "shirt dress", "skater dress", "smock dress"),
            *("tea dress", "wrap dress"),
        ),
    ),
    Family(
        "outerwear",
        (8900, 34900),
        ("Belted", "Cropped", "Hooded", "Longline", "Oversized", "Unlined"),
        (
            *("anorak", "balmacaan", "bomber jacket", "chore coat", "cocoon coat", "denim jacket"),
            *("duffle coat", "field jacket", "kimono jacket", "overshirt", "parka", "peacoat"),
            *("quilted jacket", "trench coat", "trucker jacket", "wrap coat"),
        ),
    ),
    Family(
        "outerwear",
        (11900, 29900),
        ("Boxy", "Collarless", "Relaxed", "Tailored"),
        ("double-breasted blazer", "hacking jacket", "single-breasted blazer", "spencer jacket", "tuxedo jacket"),
    ),
    Family(
        "accessory",
        (1400, 4900),
        ("Fringed", "Lightweight", "Oversized", "Reversible"),
        ("bandana", "pashmina", "shawl", "skinny scarf", "square scarf", "snood"),
    ),
    Family(
        "accessory",
        (3900, 19900),
        ("Mini", "Quilted", "Slouchy", "Structured"),
        ("baguette bag", "bucket bag", "clutch", "crossbody bag", "hobo bag", "satchel", "tote"),
    ),
    Family(
        "accessory",
        (1900, 6900),
        ("Felted", "Packable", "Soft"),
        ("baker boy cap", "beret", "bucket hat", "cloche", "panama hat"),
    ),
    Family(
        "accessory",
        (1900, 7900),
        ("Narrow", "Wide", "Woven"),
        ("chain belt", "corset belt", "obi belt", "sash belt"),
    ),
    Family(
        "other",
        (2900, 11900),
        ("Petite", "Regular", "Relaxed", "Tall"),
        (
            *("boiler suit", "catsuit", "dungarees", "dressing gown", "jumpsuit", "leotard"),
            *("playsuit", "pyjama set", "swimsuit"),
        ),
    ),
)

SILHOUETTES: Final = tuple(
    (family, cut, garment) for family in FAMILIES for garment in family.garments for cut in family.cuts
)

FITS: Final = (
    "Cut close at the shoulder and easy through the body.",
    "Drafted with a clean line from shoulder to hem.",
    "Shaped with darts back and front; the waist sits where yours does.",
    "Generous through the hips, with room to sit, stretch and cycle.",
    "Follows the body without holding on to it.",
    "A forgiving shape that layers over almost anything.",
    "Our most graded block, true to size from 32 to 54.",
    "Slightly dropped armholes and a straight side seam.",
)
FINISHES: Final = (
    "Topstitched seams and a faced hem.",
    "French seams throughout, so that the inside is as neat as the outside.",
    "In-seam pockets that lie flat.",
    "A concealed placket keeps the front quiet.",
    "Finished with bound edges and corozo buttons.",
    "Invisible zip at the side seam.",
    "With a half lining that stays put.",
    "Hand-finished collar and cuffs.",
)
FIT_TAGS: Final = (
    *("capsule", "classic", "easy-fit", "everyday", "minimal", "modern", "occasion"),
    *("retro", "statement", "streetwear", "tailoring", "travel", "vintage", "workwear"),
)

BODIES: Final = {
    "XS": (82, 66, 88), "S": (88, 72, 94), "M": (94, 78, 100), "L": (102, 86, 108), "XL": (110, 96, 116),
    "XXL": (120, 108, 126),
}  # fmt: skip
"""Chest, waist and hips of those for whom a size is cut, in cm."""
EASES: Final = {
    "Boxy": (12, 16, 10), "Longline": (8, 10, 6), "Oversized": (18, 20, 16),
    "Relaxed": (10, 12, 8), "Slim": (2, 4, 3), "Tailored": (4, 5, 4),
}  # fmt: skip
"""How much wider than the body a cut is."""
USUAL_EASE: Final = (6, 6, 5)
UNSIZED: Final = ("accessory", "other")
"""Categories whose garments come in one size."""


def sizes(cut: str, category: str) -> dict[str, dict[str, int]]:
    """The size table of a garment, as an item has it in its properties; empty where it comes in one size."""
    if category in UNSIZED:
        return {}
    ease = EASES.get(cut, USUAL_EASE)
    return {
        size: {name: girth + more for name, girth, more in zip(("chest", "waist", "hips"), body, ease, strict=True)}
        for size, body in BODIES.items()
    }
