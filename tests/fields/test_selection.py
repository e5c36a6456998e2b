"""What a query needs is read off the schema."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
import strawberry
from starlette.applications import Starlette

from api.bounded_dict import BoundedDict
from api.fields import selection
from api.stores.stores import Stores
from tests.support.factories.avatars import create_avatar
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.designs import create_design
from tests.support.graphql import TYPES, execute, gid, sent


@strawberry.type
class Sample:
    plain: int

    @strawberry.field
    def undeclared(self) -> int:
        return self.plain

    @strawberry.field(metadata={"needs": ("plain", "other")})
    def declared(self) -> int:
        return self.plain


def field(name: str) -> Any:
    definition: Any = Sample.__strawberry_definition__  # type: ignore[attr-defined]  # strawberry adds it
    return next(field for field in definition.fields if field.python_name == name)


def test_plain_fields_need_their_column_and_resolvers_what_they_declare() -> None:
    assert selection.needs_of(field("plain")) == {"plain"}
    assert selection.needs_of(field("declared")) == {"plain", "other"}
    with pytest.raises(TypeError, match="the resolver undeclared must declare the columns that it needs"):
        selection.needs_of(field("undeclared"))


@pytest.mark.anyio
async def test_a_full_cache_forgets_and_finds_again(
    admin: httpx.AsyncClient, app: Starlette, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, "_cache", BoundedDict(2))
    await create_design(stores, name="Evening", version=3)
    queries = {
        "name": "Evening",
        "status": "DRAFT",
        "version": 3,
        "layers": [],
    }

    for _ in range(2):
        for name, value in queries.items():
            selected = "layers { layerId }" if name == "layers" else name
            with sent(app) as counted:
                data = await execute(admin, f"{{ designs {{ nodes {{ {selected} }} }} }}")
            assert data == {"designs": {"nodes": [{name: value}]}}
            assert counted.counts == (1, 0)

    assert len(selection._cache) == 2


PARTS = {
    "catalogItems": ["properties { __typename }"],
    "avatars": ["measurements { __typename }"],
    "designs": [
        "metadata { __typename }",
        "metadata { canvasSize { __typename } }",
        "layers { __typename }",
        "layers { position { __typename } }",
        "layers { scale { __typename } }",
        "layers { scale { x @skip(if: true) __typename } }",
    ],
}


@pytest.mark.anyio
async def test_parts_of_which_only_the_type_is_asked_are_there(admin: httpx.AsyncClient, stores: Stores) -> None:
    layer = {"id": "a", "type": "fabric", "position": {"x": 1, "y": 1, "z": 1}, "scale": {"x": 2, "y": 2}}
    design = await create_design(stores, layers=[layer], metadata={"canvasSize": {"width": 1, "height": 2}})
    item, avatar = await create_catalog_item(stores), await create_avatar(stores, measurements={"height": 170})
    ids = {"catalogItems": gid(item), "avatars": gid(avatar), "designs": gid(design)}
    shown = {
        "properties": {"__typename": "CatalogItemProperties"},
        "measurements": {"__typename": "Measurements"},
        "metadata": {"__typename": "DesignMetadata"},
        "metadata.canvasSize": {"canvasSize": {"__typename": "CanvasSize"}},
        "layers": [{"__typename": "DesignLayer"}],
        "layers.position": [{"position": {"__typename": "Position"}}],
        "layers.scale": [{"scale": {"__typename": "Scale"}}],
    }
    for name, selections in PARTS.items():
        for selected in selections:
            first, *rest = re.findall(r"[a-z]\w+(?= \{)", selected)
            expected = {first: shown[".".join([first, *rest])]}
            found = await execute(admin, f"{{ {name} {{ nodes {{ {selected} }} }} }}")
            assert found == {name: {"nodes": [expected]}}
            of = f"... on {TYPES[name]} {{ {selected} }}"
            query = f"query ($id: ID!) {{ node(id: $id) {{ {of} }} nodes(ids: [$id]) {{ {of} }} }}"
            assert await execute(admin, query, id=ids[name]) == {"node": expected, "nodes": [expected]}
