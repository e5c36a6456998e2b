"""What a query needs is read off the schema."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import strawberry
from starlette.applications import Starlette

from api import selection
from api.recent import Recent
from api.stores import Stores
from tests.factories.designs import create_design
from tests.graphql import execute, sent


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
    monkeypatch.setattr(selection, "_cache", Recent(2))
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
