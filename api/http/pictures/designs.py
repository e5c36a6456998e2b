"""The picture of a design: its layers on a figure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from api.http.pictures.cloth import Drawn, colours, figure, weave
from api.http.pictures.garments import FIGURE, HEIGHT, WIDTH, garment
from api.http.pictures.svg import UNCOLOURED, Tiles, bounded, colour, document, number, shade

MOST_LAYERS: Final = 200
CANVAS: Final = (1080.0, 1350.0)
"""Width and height of a design that has none."""
_FURTHEST: Final = 20_000.0
_NEAR: Final = 0.2
"""How far cloth may lie from the garment that is made of it, as a part of the canvas' width."""


@dataclass(slots=True)
class Piece:
    """A garment with its cloth, or cloth alone."""

    layer: dict[str, Any]
    x: float
    y: float
    item: Drawn | None = None
    fabric: dict[str, Any] | None = None
    pattern: dict[str, Any] | None = None


def draw_design(design: dict[str, Any]) -> str:
    """The picture of a design, without hidden layers and those whose item no longer exists.

    Fabrics and patterns are drawn on the nearest silhouette below them, or as squares where there is none.
    """
    size = design["metadata"]["canvasSize"] or {}
    width = bounded(size.get("width"), 16, 8192, CANVAS[0])
    height = bounded(size.get("height"), 16, 8192, CANVAS[1])
    tiles = Tiles()
    drawn = "".join(_draw(piece, width, tiles) for piece in _pieces(design["layers"], width))
    figure_width = min(width * 0.62, height * 0.94 * WIDTH / HEIGHT)
    factor = figure_width / WIDTH
    left, top = (width - figure_width) / 2, (height - factor * HEIGHT) / 2
    placed = f"translate({number(left)} {number(top)}) scale({number(factor)})"
    background = (
        f'<path d="M0 0H{number(width)}V{number(height)}H0Z" fill="#f4f2ee"/>'
        f'<path d="{FIGURE}" fill="#e0d8cd" transform="{placed}"/>'
    )
    return document(width, height, design["name"], f"{tiles.definitions()}{background}{drawn}")


def _pieces(layers: list[dict[str, Any]], width: float) -> list[Piece]:
    shown = [layer for layer in layers if layer["visible"] and layer["catalogItem"] is not None][:MOST_LAYERS]
    shown.sort(key=lambda layer: bounded(layer["position"]["z"], -1e9, 1e9, 0))
    pieces: list[Piece] = []
    for layer in shown:
        x = bounded(layer["position"]["x"], -_FURTHEST, _FURTHEST, 0)
        y = bounded(layer["position"]["y"], -_FURTHEST, _FURTHEST, 0)
        item = layer["catalogItem"]
        if item["type"] == "SILHOUETTE":
            pieces.append(Piece(layer, x, y, item))
            continue
        below = [piece for piece in pieces if piece.item is not None]
        nearest = min(reversed(below), key=lambda piece: (piece.x - x) ** 2 + (piece.y - y) ** 2, default=None)
        if nearest is None or (nearest.x - x) ** 2 + (nearest.y - y) ** 2 > (width * _NEAR) ** 2:
            nearest = Piece(layer, x, y)
            pieces.append(nearest)
        if item["type"] == "PATTERN":
            nearest.pattern = layer
        else:
            nearest.fabric = layer
    return pieces


def _draw(piece: Piece, width: float, tiles: Tiles) -> str:
    if piece.item is None:
        outline, lines, part = "M50 50H350V450H50Z", "", 0.3
    else:
        outline, lines, part = garment(piece.item["name"], piece.item["category"])
    fills = _fills(piece, tiles)
    line = shade(fills[0], -0.5)
    body = "".join(f'<path d="{outline}" fill="{fill}"/>' for fill in fills)
    body += f'<path d="{outline}" fill="none" stroke="{line}" stroke-width="3" stroke-linejoin="round"/>'
    if lines:
        body += f'<path d="{lines}" fill="none" stroke="{line}" stroke-width="2"/>'
    return f'<g transform="{_placed(piece, width * part / WIDTH)}">{body}</g>'


def _fills(piece: Piece, tiles: Tiles) -> list[str]:
    """The fills of a piece: the colour first, then what is drawn over it."""
    own = piece.item["properties"]["color"] if piece.item is not None else None
    tint = piece.layer["color"] if piece.item is not None else None
    fills = [colour(tint or own) if tint or own else shade(UNCOLOURED, 0.4)]
    if piece.fabric is not None:
        ground, _ = colours(piece.fabric["catalogItem"], piece.fabric["color"])
        fills = [ground, weave(piece.fabric["catalogItem"], tiles, ground, *_laid(piece.fabric))]
    if piece.pattern is not None:
        ground, second = colours(piece.pattern["catalogItem"], piece.pattern["color"])
        # over a fabric only the figure is printed
        fills = fills if piece.fabric is not None else [ground]
        fills.append(figure(piece.pattern["catalogItem"], tiles, second, *_laid(piece.pattern)))
    return fills


def _laid(layer: dict[str, Any]) -> tuple[float, float]:
    """The rotation and the scale of cloth."""
    scale = layer["scale"] or {}
    return bounded(layer["rotation"], -1e6, 1e6, 0) % 360, bounded(scale.get("x"), 0.1, 10, 1)


def _placed(piece: Piece, factor: float) -> str:
    """The transformation that puts the middle of a garment where its layer lies."""
    turned = bounded(piece.layer["rotation"], -1e6, 1e6, 0) % 360
    scale = piece.layer["scale"] or {}
    across = bounded(scale.get("x"), -20, 20, 1) * factor
    down = bounded(scale.get("y"), -20, 20, 1) * factor
    return (
        f"translate({number(piece.x)} {number(piece.y)}) rotate({number(turned)}) "
        f"scale({across:.4f} {down:.4f}) translate({-WIDTH // 2} {-HEIGHT // 2})"
    )
