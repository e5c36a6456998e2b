"""The traits of a catalog item."""

from __future__ import annotations

from typing import Any

from api.similarity.traits import Traits, text, texts


def traits_of(type_: Any, category: Any, properties: Any) -> Traits:
    """The traits of a stored item; odd values are left out."""
    stored = properties if isinstance(properties, dict) else {}
    return Traits(
        tags=texts(stored.get("tags")),
        colours=text(stored.get("color")),
        materials=text(stored.get("material")),
        categories=text(category),
        types=text(type_),
    )
