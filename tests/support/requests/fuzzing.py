"""Requests that nobody thought of: operations from the schema, broken documents, JSON of any shape; and what every
answer has to be all the same."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Final

import httpx
from hypothesis import strategies as st
from hypothesis_graphql import from_schema, nodes

from api.error_codes import ErrorCode
from api.http.request import JSON, RESPONSE_JSON
from api.schema import print_sdl
from tests.support.world import World

PLACES: Final = ("User", "Avatar", "CatalogItem", "Design")
_PLACE: Final = re.compile(r"@(User|Avatar|CatalogItem|Design)-(\d)@")
_INSIDE: Final = re.compile(
    r"Traceback|site-packages|\.py\b|object at 0x|<class|127\.0\.0\.1|localhost|SELECT |INSERT INTO|UPDATE |WHERE |"
    r"asyncpg|sqlalchemy|pymongo|beanie|strawberry|starlette|pydantic|[A-Z]\w+(Error|Exception)\b(?!\")"
)
"""What only our code, its libraries or the stores would say."""

_kept: Final = st.builds("@{}-{}@".format, st.sampled_from(PLACES), st.integers(0, 7))
_odd: Final = st.one_of(st.text(max_size=20), st.sampled_from(["VXNlcjox", "RGVzaWduOjE=", "QXZhdGFyOg=="]))
ids: Final = st.integers(0, 9).flatmap(lambda chance: _odd if chance == 9 else _kept).map(nodes.String)
"""Mostly ids that exist: `real` puts them in."""
moments: Final = st.one_of(
    st.datetimes().map(lambda at: at.isoformat() + "Z"), st.sampled_from(["", "now", "0001-01-01T00:00:00+14:00"])
).map(nodes.String)

operations: Final[st.SearchStrategy[str]] = st.deferred(  # it takes seconds, of whoever imports this
    lambda: from_schema(
        print_sdl(), custom_scalars={"ID": ids, "DateTime": moments, "JSON": st.text().map(nodes.String)}
    )
)
"""Valid queries and mutations, with every field and argument of the schema."""

values: Final = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63), st.floats(allow_nan=False), st.text(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=10), inner, max_size=4)),
    max_leaves=10,
)
"""Whatever JSON can say."""


@st.composite
def documents(draw: st.DrawFn) -> str:
    """Documents that something has happened to."""
    text = draw(operations)
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 8)))
        put = draw(st.sampled_from(["", "{", "}", "(", ")", "[", "$x", "...", "@skip(if: $x)", '"', "!", "\x00", "é"]))
        text = text[:start] + put + text[end:]
    return text


VARIABLES: Final = (
    "query ($x: ID!) { node(id: $x) { id } }",
    "query ($x: [ID!]!) { nodes(ids: $x) { id } }",
    "query ($x: UserFilter, $y: UserOrder, $n: Int, $s: String) "
    "{ users(filter: $x, orderBy: $y, first: $n, after: $s) { nodes { id email } totalCount } }",
    "query ($x: CatalogItemFilter, $y: CatalogItemOrder, $n: Int, $s: String) "
    "{ catalogItems(filter: $x, orderBy: $y, last: $n, before: $s) { nodes { id price } totalCount } }",
    "query ($x: DesignFilter, $y: DesignOrder, $n: Int, $s: String) "
    "{ designs(filter: $x, orderBy: $y, first: $n, before: $s) { nodes { id layers { layerId } } totalCount } }",
    "query ($s: String!, $x: [SearchType!], $n: Int) { search(query: $s, types: $x, first: $n) { totalCount } }",
    "mutation ($x: CreateDesignInput!) { createDesign(input: $x) { design { id } errors { code message path } } }",
    "mutation ($x: ApplyDesignPatchInput!) { applyDesignPatch(input: $x) { errors { code message path } } }",
    "mutation ($x: CreateAvatarInput!) { createAvatar(input: $x) { avatar { id } errors { code message path } } }",
    "mutation ($x: SignUpInput!) { signUp(input: $x) { errors { code message path } } }",
)
names: Final = st.sampled_from(
    (
        *("id", "name", "email", "password", "first", "field", "direction", "and", "or", "not", "eq", "in", "contains"),
        *("gte", "status", "type", "tags", "price", "layers", "operations", "expectedVersion", "createdAt", "add"),
    )
)
inputs: Final = st.recursive(
    st.one_of(st.none(), st.integers(-5, 2**31), st.text(max_size=10), st.floats(allow_nan=False), st.booleans())
    | st.sampled_from(["NAME", "CREATED_AT", "ASC", "DESC", "PUBLISHED", "FABRIC", "@User-0@", "@Design-0@"]),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=4)),
    max_leaves=12,
)
"""What resembles inputs of the schema."""


def real(text: str, world: World) -> str:
    """The text with the ids of what is in the world, instead of places such as `@Design-2@`."""
    from tests.support.graphql import gid

    kept: dict[str, Sequence[Any]] = {
        "User": [*world.users.values()],
        "Avatar": [*world.avatars.values()],
        "CatalogItem": [*world.items.values()],
        "Design": [*world.designs.values()],
    }
    return _PLACE.sub(lambda found: gid(kept[found[1]][int(found[2]) % len(kept[found[1]])]), text)


def assert_well_formed(response: httpx.Response) -> None:
    """Fail unless this is a GraphQL response that tells nothing of the inside."""
    said = f"{response.status_code}: {response.text}"
    assert response.status_code < 500, said
    media_type, _, charset = response.headers["content-type"].partition("; ")
    assert (media_type in (JSON, RESPONSE_JSON), charset) == (True, "charset=utf-8"), said
    assert response.headers["x-request-id"]
    body = json.loads(response.content)
    for each in body if isinstance(body, list) else [body]:
        assert each, said
        assert each.keys() <= {"data", "errors", "extensions"}, said
        assert "errors" in each or "data" in each, said
        assert isinstance(each.get("data", {}), (dict, type(None))), said
        assert each.get("data") is not None or each.get("errors"), said
        for error in each.get("errors", ()):
            _assert_error(error, said)


def _assert_error(error: Any, said: str) -> None:
    assert {"message", "extensions"} <= error.keys() <= {"message", "locations", "path", "extensions"}, said
    assert isinstance(error["message"], str), said
    assert error["message"], said
    assert not _INSIDE.search(error["message"]), said
    code = error["extensions"]["code"]
    assert code in ErrorCode.__members__, said
    assert code not in ("INTERNAL", "STORE_UNAVAILABLE"), said
    for place in error.get("locations", ()):
        assert place["line"] > 0, said
        assert place["column"] > 0, said
    assert all(isinstance(step, (str, int)) for step in error.get("path", ())), said
