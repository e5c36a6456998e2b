"""Names and descriptions of demo designs."""

from __future__ import annotations

from typing import Final

OCCASIONS: Final = {
    "Airport sprint": ("travel", "comfort"), "Allotment Saturday": ("weekend", "outdoors"),
    "Art school interview": ("statement", "smart"), "Autumn in Porto": ("autumn", "travel"),
    "Back to the office": ("office", "smart"), "Bank holiday": ("weekend", "casual"),
    "Beach at dusk": ("summer", "holiday"), "Birthday dinner": ("evening", "party"),
    "Bookshop date": ("casual", "date"), "Book launch": ("evening", "smart"),
    "Canal walk": ("weekend", "casual"), "Christening": ("occasion", "smart"),
    "City break": ("travel", "weekend"), "Coffee before work": ("office", "casual"),
    "Concert in the park": ("summer", "party"), "Conference keynote": ("office", "statement"),
    "Country weekend": ("autumn", "outdoors"), "Dancing till four": ("party", "evening"),
    "Dinner with the parents": ("date", "smart"), "Eid gathering": ("occasion", "festive"),
    "Festival Friday": ("summer", "festive"), "Film premiere": ("evening", "statement"),
    "First day of spring": ("spring", "casual"), "First frost": ("winter", "layers"),
    "Flea market": ("weekend", "vintage"), "Gallery opening": ("evening", "statement"),
    "Garden wedding": ("occasion", "summer"), "Graduation": ("occasion", "smart"),
    "Harbour walk": ("weekend", "outdoors"), "Heatwave": ("summer", "comfort"),
    "Hogmanay": ("winter", "party"), "Lake house": ("summer", "holiday"),
    "Last day of summer": ("summer", "casual"), "Long lunch": ("weekend", "smart"),
    "Market square": ("casual", "weekend"), "Midsummer": ("summer", "festive"),
    "Monday pitch": ("office", "smart"), "Mountain hut": ("winter", "outdoors"),
    "New Year's brunch": ("winter", "party"), "Night at the opera": ("evening", "occasion"),
    "Night train": ("travel", "layers"), "Picnic": ("summer", "weekend"),
    "Rainy Tuesday": ("layers", "casual"), "Rooftop dinner": ("summer", "evening"),
    "School run": ("casual", "comfort"), "Snow day": ("winter", "layers"),
    "Studio day": ("comfort", "casual"), "Sunday market": ("weekend", "casual"),
    "Sunday roast": ("autumn", "comfort"), "Train to Lisbon": ("travel", "spring"),
    "Vernissage": ("evening", "statement"), "Winter solstice": ("winter", "festive"),
}  # fmt: skip
"""Occasions, with the tags that go with them."""

STYLES: Final = (
    *("androgynous", "avant-garde", "boho", "capsule", "colour-block", "cottagecore", "heritage", "ivy"),
    *("maximalist", "minimal", "monochrome", "preppy", "quiet-luxury", "retro", "romantic", "streetwear"),
    *("sustainable", "tailoring", "utility", "vintage"),
)

NAMES: Final = (
    "{occasion}",
    "{occasion} look",
    "{occasion}, second try",
    "{colour} {garment}",
    "{garment} in {cloth}",
    "{cloth} and {figure}",
    "{occasion} in {colour}",
    "{garment} for {when}",
)
SEASONS: Final = ("spring", "summer", "autumn", "winter", "the weekend", "the office", "every day", "travelling")

NOTES: Final = (
    "Wear it with the sleeves rolled.",
    "Needs a belt, or a braver hem.",
    "The client asked for something quieter; this is it.",
    "Works with boots now and sandals later.",
    "Still deciding on the buttons.",
    "Made for someone who is always cold.",
    "One long line from collar to ankle.",
    "Two textures, one colour, no noise.",
    "Sketched on the train, finished the same night.",
    "The lining is where the fun is.",
    "Started as a mood board, ended as a uniform.",
    "Light enough to pack, smart enough to stay for dinner.",
)

CANVASES: Final = ((1080, 1350), (1080, 1920), (1200, 1600), (1600, 2000), (2048, 2048))
"""Width and height in pixels."""

SLOTS: Final = {
    "top": (0.50, 0.30),
    "bottom": (0.50, 0.62),
    "dress": (0.50, 0.46),
    "outerwear": (0.50, 0.38),
    "accessory": (0.74, 0.24),
    "other": (0.50, 0.48),
}
"""The place of a garment on the canvas by its category, as parts of the canvas' width and height."""
