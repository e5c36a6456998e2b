"""The picture of a catalog item."""

from __future__ import annotations

from api.http.pictures.cloth import Drawn, colours, figure, weave
from api.http.pictures.garments import HEIGHT, WIDTH, garment
from api.http.pictures.svg import UNCOLOURED, Tiles, colour, document, shade


def draw_item(item: Drawn) -> str:
    """A garment's outline, or a square of cloth."""
    tiles = Tiles()
    if item["type"] == "SILHOUETTE":
        shape = garment(item["name"], item["category"])
        ground = colour(item["properties"]["color"]) if item["properties"]["color"] else shade(UNCOLOURED, 0.4)
        line = shade(ground, -0.5)
        drawn = (
            f'<path d="{shape.outline}" fill="{ground}" stroke="{line}" stroke-width="4" stroke-linejoin="round"/>'
            f'<path d="{shape.lines}" fill="none" stroke="{line}" stroke-width="2.5"/>'
        )
    else:
        ground, second = colours(item)
        over = figure(item, tiles, second) if item["type"] == "PATTERN" else weave(item, tiles, ground)
        whole = '<path d="M30 30H370V470H30Z"'
        drawn = f'{whole} fill="{ground}"/>{whole} fill="{over}"/>'
    return document(
        WIDTH, HEIGHT, item["name"], f'{tiles.definitions()}<path d="M0 0H400V500H0Z" fill="#f4f2ee"/>{drawn}'
    )
