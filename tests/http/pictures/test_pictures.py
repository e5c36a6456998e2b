"""Pictures of catalog items and designs: what they show, to whom, and that nothing stored gets out of its place."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from api.accounts.passwords import hasher
from api.config.settings import PRODUCTION_DEFAULTS, Settings
from api.demo.loader import load, pictures_of
from api.http.pictures.designs import MOST_LAYERS, draw_design
from api.http.pictures.items import draw_item
from api.http.pictures.svg import bounded, colour, number
from api.stores.stores import Stores
from models import CatalogItem, new_id
from tests.support.applications import running
from tests.support.factories.catalog import catalog_items, create_catalog_item
from tests.support.factories.designs import create_design, insert_design, layer_of
from tests.support.factories.users import create_user
from tests.support.signing_in import client_of, signed_in, with_token

SVG = "{http://www.w3.org/2000/svg}"
ELEMENTS = {f"{SVG}{name}" for name in ("svg", "title", "defs", "pattern", "path", "circle", "g")}
ATTRIBUTES = {
    *("width", "height", "viewBox", "role", "id", "patternUnits", "patternTransform", "transform", "d", "cx", "cy"),
    *("r", "fill", "stroke", "stroke-width", "stroke-linejoin", "opacity"),
}
EVIL = '</title><script>alert(1)</script>"\'><image href="https://evil.test/x"/>&x;]]>\x0b\ufffe'


def parsed(content: str | bytes) -> ElementTree.Element:
    """The picture, which has nothing but what a picture of ours has."""
    root = ElementTree.fromstring(content)
    for element in root.iter():
        assert element.tag in ELEMENTS
        assert set(element.attrib) <= ATTRIBUTES
        for name, value in element.attrib.items():
            allowed = r"(#[0-9a-f]{6}|none|url\(#t\d+\))" if name in ("fill", "stroke") else r"[-\w.# ()]*"
            assert re.fullmatch(allowed, value), (name, value)
    return root


def path_of(kind: str, key: object) -> str:
    return f"/pictures/{kind}/{key}.svg"


def item_of(**values: Any) -> dict[str, Any]:
    """What the picture's query answers about an item."""
    properties = {"color": None, "texture": None, "patternType": None} | values.pop("properties", {})
    return {"name": "Silk", "type": "FABRIC", "category": None, "properties": properties} | values


def drawn_layer(item: dict[str, Any] | None, **values: Any) -> dict[str, Any]:
    """What the picture's query answers about a layer."""
    defaults = {"visible": True, "color": None, "rotation": None, "position": {"x": 0, "y": 0, "z": 0}, "scale": None}
    return defaults | {"catalogItem": item} | values


def design_of(*layers: dict[str, Any], canvas: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"name": "Evening", "metadata": {"canvasSize": canvas}, "layers": list(layers)}


@pytest.mark.anyio
async def test_the_demo_datas_addresses_lead_to_pictures(settings: Settings, stores: Stores) -> None:
    address = pictures_of(settings, "http://127.0.0.1:8000")
    await load(stores, password="password", hasher=hasher(settings), pictures=address)
    query = """{
        designs(first: 3, filter: { status: PUBLISHED }) {
            nodes { metadata { thumbnailUrl } layers { catalogItem { name isActive thumbnailUrl } } }
        }
    }"""

    async with running(settings) as (_, client):
        answer = (await client.post("/graphql", json={"query": query})).json()
        designs = answer["data"]["designs"]["nodes"]
        items = [layer["catalogItem"] for design in designs for layer in design["layers"]]
        urls = [design["metadata"]["thumbnailUrl"] for design in designs] + [item["thumbnailUrl"] for item in items]
        pictures = {url: await client.get(url) for url in urls}

    assert len(urls) >= 12
    assert {url.rpartition("/")[0] for url in urls} == {
        "http://127.0.0.1:8000/pictures/designs",
        "http://127.0.0.1:8000/pictures/catalog-items",
    }
    for design in designs:
        picture = pictures[design["metadata"]["thumbnailUrl"]]
        assert (picture.status_code, picture.headers["content-type"]) == (200, "image/svg+xml")
    for item in items:
        # what is no longer offered is shown inside of designs only
        picture = pictures[item["thumbnailUrl"]]
        assert picture.status_code == (200 if item["isActive"] else 404)
        if item["isActive"]:
            assert parsed(picture.content).findtext(f"{SVG}title") == item["name"]


def test_where_pictures_are() -> None:
    of = Settings(_env_file=None)

    assert pictures_of(of) == "http://127.0.0.1:8000/pictures"
    assert pictures_of(of, "http://127.0.0.1:4711") == "http://127.0.0.1:4711/pictures"
    assert pictures_of(of.model_copy(update={"host": "0.0.0.0"})) == "http://127.0.0.1:8000/pictures"
    given = of.model_copy(update={"demo_url": "https://demo.example.com/"})
    assert pictures_of(given, "http://127.0.0.1:4711") == "https://demo.example.com/pictures"
    without = of.model_copy(update={"demo_pictures": False})
    assert pictures_of(without, "http://127.0.0.1:4711") == "https://assets.fashion-wallet.test/pictures"
    with pytest.raises(ValueError, match="must be the address of a server"):
        Settings(_env_file=None, demo_url="javascript:alert(1)")


@pytest.mark.anyio
async def test_an_items_picture_has_its_colour_and_pattern(stores: Stores, client: httpx.AsyncClient) -> None:
    stripes = await create_catalog_item(
        stores,
        name="Classic awning stripe in navy and coral",
        type="pattern",
        properties={"color": "navy", "patternType": "awning stripe"},
    )

    picture = await client.get(path_of("catalog-items", stripes.id))

    root = parsed(picture.content)
    assert root.findtext(f"{SVG}title") == "Classic awning stripe in navy and coral"
    (tile,) = root.iter(f"{SVG}pattern")
    assert [path.attrib["stroke"] for path in tile] == ["#ff6f59"]
    assert [path.attrib["fill"] for path in root.findall(f"{SVG}path")] == ["#f4f2ee", "#1b2a49", "url(#t0)"]


def test_layers_are_put_together() -> None:
    skirt = item_of(name="Midi skirt", type="SILHOUETTE", category="BOTTOM")
    here, there = {"x": 500, "y": 600, "z": 2}, {"x": 520, "y": 610, "z": 1}
    linen = item_of(properties={"color": "#123456", "texture": "twill"})
    dots = item_of(type="PATTERN", name="Dots", properties={"color": "white", "patternType": "polka dot"})

    dressed = parsed(draw_design(design_of(
        drawn_layer(linen, position=here | {"z": 5}, rotation=90),
        drawn_layer(dots, position=here | {"z": 6}),
        drawn_layer(skirt, position=here, rotation=370, scale={"x": 2, "y": 0.5}),
        drawn_layer(skirt, position=there, visible=False),
        drawn_layer(None, position=there),
        canvas={"width": 1000, "height": 1200},
    )))  # fmt: skip
    (garment,) = dressed.findall(f"{SVG}g")
    alone = parsed(draw_design(design_of(drawn_layer(linen, color="#fff"), drawn_layer(skirt, position=here))))

    # one garment, of the cloth that lies on it, where its layer is
    assert garment.attrib["transform"] == ("translate(500 600) rotate(10) scale(2.4000 0.6000) translate(-200 -250)")
    assert [path.attrib["fill"] for path in garment] == ["#123456", "url(#t0)", "url(#t1)", "none", "none"]
    assert [tile.attrib["patternTransform"] for tile in dressed.iter(f"{SVG}pattern")] == [
        "rotate(90) scale(1)",
        "rotate(0) scale(1.1)",
    ]
    assert dressed.attrib["viewBox"] == "0 0 1000 1200"
    # cloth that lies on none is a square of its own, tinted as its layer says
    assert [group[0].attrib["fill"] for group in alone.findall(f"{SVG}g")] == ["#ffffff", "#d5d1ca"]


@pytest.mark.anyio
async def test_pictures_are_for_those_who_may_see_the_object(
    settings: Settings, stores: Stores, client: httpx.AsyncClient
) -> None:
    owner = await create_user(stores)
    draft = await create_design(stores, user_id=owner.id)
    published = await create_design(stores, user_id=owner.id, status="published")
    gone = await create_design(stores, user_id=owner.id, status="published", deleted_at=published.created_at)
    brand, creator = await signed_in(client, stores, "brand")
    inactive = await create_catalog_item(stores, is_active=False, created_by=creator.id)
    someone, _ = await signed_in(client, stores)
    admin, _ = await signed_in(client, stores, "admin")
    theirs = await client_of(client, stores, owner)
    paths = [
        *(path_of("designs", design.id) for design in (draft, published, gone)),
        path_of("catalog-items", inactive.id),
    ]

    viewers = {"nobody": client, "someone": someone, "owner": theirs, "brand": brand, "admin": admin}
    seen = {name: [(await each.get(path)).status_code for path in paths] for name, each in viewers.items()}

    assert seen == {
        "nobody": [404, 200, 404, 404],
        "someone": [404, 200, 404, 404],
        "owner": [200, 200, 404, 404],
        "brand": [404, 200, 404, 200],
        "admin": [200, 200, 404, 200],
    }


@pytest.mark.anyio
async def test_pictures_are_kept_for_a_minute_and_known_by_a_tag(stores: Stores, client: httpx.AsyncClient) -> None:
    item = await create_catalog_item(stores, properties={"color": "navy"})
    path = path_of("catalog-items", item.id)
    admin, _ = await signed_in(client, stores, "admin")

    first = await client.get(path)
    tag = first.headers["etag"]
    same = await client.get(path, headers={"if-none-match": f'"x", W/{tag}'})
    other = await client.get(path, headers={"if-none-match": '"x"'})
    own = await admin.get(path)
    missing = await client.get(path_of("catalog-items", new_id()))
    await catalog_items(stores).update(item.id, {"properties": {"color": "coral"}})
    changed = await client.get(path, headers={"if-none-match": tag})

    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
    assert (other.status_code, changed.status_code) == (200, 200)
    assert changed.headers["etag"] != tag
    assert first.headers["cache-control"] == same.headers["cache-control"] == "public, max-age=60"
    assert own.headers["cache-control"] == "private, max-age=60"
    assert (missing.status_code, missing.headers["cache-control"]) == (404, "no-store")
    for answer in (first, same, own, missing):
        assert answer.headers["vary"] == "Authorization"
        assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.anyio
async def test_what_is_stored_can_not_get_out_of_its_place(stores: Stores, client: httpx.AsyncClient) -> None:
    words = {"color": EVIL, "texture": EVIL, "patternType": EVIL}
    fabric = await create_catalog_item(stores, name=EVIL, properties=words)
    pattern = await create_catalog_item(stores, name=EVIL, type="pattern", properties=words)
    silhouette = await create_catalog_item(stores, name=EVIL, type="silhouette", properties=words)
    items = (silhouette, fabric, pattern)
    layers = [layer_of(item.id, id=f"layer-{place}", color=EVIL) for place, item in enumerate(items)]
    design = await insert_design(stores, name=EVIL, status="published", layers=layers)

    paths = [path_of("catalog-items", item.id) for item in items] + [path_of("designs", design)]
    pictures = [await client.get(path) for path in paths]

    for picture in pictures:
        assert picture.status_code == 200
        assert parsed(picture.content).findtext(f"{SVG}title") == EVIL[:-2]


@pytest.mark.anyio
async def test_a_picture_is_bounded_whatever_is_stored(stores: Stores, client: httpx.AsyncClient) -> None:
    item = await create_catalog_item(stores, name="x" * 255, type="silhouette", category="top")
    huge = {"x": 1e308, "y": -1e308, "z": 1e308}
    layers = [layer_of(item.id, id=str(place), position=huge, rotation=1e308, scale=huge) for place in range(500)]
    canvas = {"canvasSize": {"width": 2_000_000_000, "height": -5}}
    design = await insert_design(stores, name="Huge", status="published", layers=layers, metadata=canvas)

    picture = await client.get(path_of("designs", design))

    root = parsed(picture.content)
    assert picture.status_code == 200
    assert len(root.findall(f"{SVG}g")) == MOST_LAYERS
    assert root.attrib["viewBox"] == "0 0 8192 16"
    assert len(picture.content) < 200_000


@pytest.mark.anyio
async def test_a_design_is_drawn_by_one_statement_in_each_store(stores: Stores, client: httpx.AsyncClient) -> None:
    items: list[CatalogItem] = [await create_catalog_item(stores) for _ in range(20)]
    layers = [layer_of(item.id, id=str(place)) for place, item in enumerate(items)]
    design = await create_design(stores, status="published", layers=layers)

    with structlog.testing.capture_logs() as logs:
        picture = await client.get(path_of("designs", design.id))

    assert len(parsed(picture.content).findall(f"{SVG}g")) == 20
    assert [(entry["operation"], entry["sql"], entry["mongo"]) for entry in logs] == [("DesignPicture", 1, 1)]


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["designs/x", "designs/", "catalog-items/%00", "catalog-items/..%2f..%2fx", "users/1"])
async def test_what_is_no_picture(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(f"/pictures/{path}.svg")

    assert answer.status_code == 404


@pytest.mark.anyio
async def test_what_the_api_refuses_is_refused(settings: Settings, stores: Stores) -> None:
    path = path_of("catalog-items", (await create_catalog_item(stores)).id)
    nowhere = SecretStr("postgresql://me:secret@127.0.0.1:1/x")

    async with running(settings, rate_limit_address="1/minute") as (_, client):
        token = await with_token(client, "forged").get(path)
        limited = [await client.get(path) for _ in range(2)][1]
    async with running(settings, database_url=nowhere) as (_, client):
        down = await client.get(path)

    assert (token.status_code, token.headers["www-authenticate"]) == (401, 'Bearer error="invalid_token"')
    assert (limited.status_code, limited.headers["content-type"]) == (429, "text/plain; charset=utf-8")
    assert int(limited.headers["retry-after"]) <= 60
    assert (down.status_code, down.text) == (503, "PostgreSQL is not available; try again later.")
    assert {answer.headers["cache-control"] for answer in (token, limited, down)} == {"no-store"}


@pytest.mark.anyio
async def test_pictures_are_drawn_only_where_they_are_wanted(settings: Settings, stores: Stores) -> None:
    path = path_of("catalog-items", (await create_catalog_item(stores)).id)

    async with running(settings, demo_pictures=False) as (_, client):
        without = await client.get(path)

    assert without.status_code == 404
    assert PRODUCTION_DEFAULTS["demo_pictures"] is False


@given(words=st.lists(st.text(), min_size=6, max_size=6), kind=st.sampled_from(("SILHOUETTE", "FABRIC", "PATTERN")))
def test_any_text_makes_a_picture(words: list[str], kind: str) -> None:
    properties = {"color": words[0], "texture": words[1], "patternType": words[2]}
    item = item_of(name=words[3], type=kind, category=words[4], properties=properties)

    parsed(draw_item(item))
    parsed(draw_design(design_of(drawn_layer(item, color=words[5]))))


@given(value=st.one_of(st.none(), st.booleans(), st.text(), st.integers(), st.floats()))
def test_any_number_is_bounded(value: Any) -> None:
    result = bounded(value, -5, 20, 1)

    assert -5 <= result <= 20
    assert re.fullmatch(r"-?\d+(\.\d{1,2})?", number(result))


def test_colours() -> None:
    assert [colour(name) for name in (" Navy ", "#ABC", "#a1B2c3", None, " ")] == [
        *("#1b2a49", "#aabbcc", "#a1b2c3", "#b9b2a6", "#b9b2a6"),
    ]
    unknown = [colour(name) for name in ("sea foam", "Sea Foam", "#12", "url(#x)")]
    assert unknown[0] == unknown[1]
    assert len(set(unknown)) == 3
    assert all(re.fullmatch("#[0-9a-f]{6}", each) for each in unknown)
