"""Which objects each viewer finds: the same ones by every path, in every order, counted or listed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import httpx
import pytest
from bson import ObjectId

from api.config.settings import Settings
from api.ids import encode_id
from tests.support.graphql import execute, gid, is_empty, respond
from tests.support.requests.selections import SCHEMA
from tests.support.world import ACCOUNTS, OPEN, WALLED, World

pytestmark = pytest.mark.anyio

VIEWERS: Final = ("anonymous", "eve", "pia", "bob", "ada", "cleo", "root")
ACTIVE_ITEMS: Final = {"plain", "premium", "dora's", "nobody's"}
PUBLISHED: Final = {"ada's published", "ada's complete", "ben's published", "idle's published", "gone's published"}
OWN_DESIGNS: Final = {"draft", "archived"}

as_everyone: Final = pytest.mark.parametrize(
    ("world", "viewer"),
    [*((OPEN, viewer) for viewer in VIEWERS), *((WALLED, viewer) for viewer in ("anonymous", "eve", "ada", "root"))],
    indirect=["world"],
)

Names = set[str]


def own(viewer: str, *kinds: str) -> Names:
    """What belongs to a viewer, by its kind."""
    return {f"{viewer}'s {kind}" for kind in kinds} if viewer in ("ada", "ben") else set()


def listed(viewer: str) -> Mapping[str, Names]:
    """The rights table: the live objects of each type that a viewer finds in lists."""
    if viewer == "root":
        both = [own(owner, "worn", "private") for owner in ("ada", "ben")]
        drafts = [own(owner, *OWN_DESIGNS) for owner in ("ada", "ben")]
        return {
            "User": set(ACCOUNTS) - {"gone"},
            "Avatar": set().union(*both),
            "CatalogItem": ACTIVE_ITEMS | {"inactive", "dora's inactive"},
            "Design": PUBLISHED.union(*drafts),
        }
    inactive = {"cleo": {"inactive"}, "dora": {"dora's inactive"}}
    return {
        "User": set(),
        "Avatar": own(viewer, "worn", "private"),
        "CatalogItem": ACTIVE_ITEMS | inactive.get(viewer, set()),
        "Design": PUBLISHED | own(viewer, *OWN_DESIGNS),
    }


def deleted(viewer: str) -> Mapping[str, Names | str]:
    """The deleted objects of each type that a viewer finds, or the code of the error that asking for them is."""
    if viewer == "root":
        mine = own("ada", "deleted") | own("ben", "deleted")
        return {"User": {"gone"}, "Avatar": mine, "CatalogItem": {"deleted", "dora's deleted"}, "Design": mine}
    if viewer == "anonymous":
        return dict.fromkeys(LISTS, "UNAUTHENTICATED")
    items = {"cleo": {"deleted"}, "dora": {"dora's deleted"}, "bob": set[str]()}
    return {
        "User": "FORBIDDEN",
        "Avatar": own(viewer, "deleted"),
        "CatalogItem": items.get(viewer, "FORBIDDEN"),
        "Design": own(viewer, "deleted"),
    }


def by_id(viewer: str) -> Mapping[str, Names]:
    """The objects that a viewer finds by their ids: those of lists, oneself, and what published designs show."""
    found = listed(viewer)
    oneself = {viewer} - {"anonymous"}
    return {
        "User": found["User"] | {"ada", "ben", "idle"} | oneself,
        "Avatar": found["Avatar"] | {"ada's worn", "ben's worn"},
        "CatalogItem": found["CatalogItem"],
        "Design": found["Design"],
    }


def may_list(viewer: str) -> Mapping[str, str | None]:
    """The code of the error that listing a type is, None where it is none."""
    if viewer == "anonymous":
        return dict.fromkeys(LISTS) | {"User": "UNAUTHENTICATED", "Avatar": "UNAUTHENTICATED"}
    return dict.fromkeys(LISTS) | {"User": None if viewer == "root" else "FORBIDDEN"}


LISTS: Final[Mapping[str, str]] = {
    "User": "users",
    "Avatar": "avatars",
    "CatalogItem": "catalogItems",
    "Design": "designs",
}
LOOKUPS: Final[Mapping[str, str]] = {
    "User": "user",
    "Avatar": "avatar",
    "CatalogItem": "catalogItem",
    "Design": "design",
}
PAGE: Final = "{ totalCount nodes { id } edges { node { id } } pageInfo { hasNextPage hasPreviousPage } }"


@pytest.fixture(scope="module")
def world_settings(settings: Settings) -> Settings:
    """Some of the operations ask for everything at once."""
    return settings.model_copy(update={"max_cost": 10_000_000, "max_root_fields": 1000, "max_aliases": 1000})


def names_of(world: World) -> dict[str, str]:
    """The name of every object by its global id."""
    kinds: tuple[Mapping[str, Any], ...] = (world.users, world.avatars, world.items, world.designs)
    return {gid(stored): name for kind in kinds for name, stored in kind.items()}


def ids_of(world: World, type_name: str) -> dict[str, str]:
    """The global id of every object of a type by its name."""
    kinds: Mapping[str, Mapping[str, Any]] = {
        "User": world.users,
        "Avatar": world.avatars,
        "CatalogItem": world.items,
        "Design": world.designs,
    }
    return {name: gid(stored) for name, stored in kinds[type_name].items()}


def page_names(page: Any, names: Mapping[str, str]) -> list[str]:
    """The names of a whole list on one page, which must agree with itself."""
    found = [names[node["id"]] for node in page["nodes"]]
    assert [names[edge["node"]["id"]] for edge in page["edges"]] == found
    assert page["totalCount"] == len(found) == len(set(found))
    assert page["pageInfo"] == {"hasNextPage": False, "hasPreviousPage": False}
    return found


async def code_of(client: httpx.AsyncClient, query: str, **variables: Any) -> str:
    """The code of the one error of a query that gets no data."""
    body = await respond(client, query, **variables)
    [error] = body["errors"]
    assert is_empty(body)
    code: str = error["extensions"]["code"]
    return code


async def whole_lists(client: httpx.AsyncClient, world: World, field: str, arguments: list[str]) -> list[list[str]]:
    """The names of whole lists, of one field with each of these arguments."""
    asked = " ".join(f"a{number}: {field}(first: 100, {given}) {PAGE}" for number, given in enumerate(arguments))
    data = await execute(client, f"{{ {asked} }}")
    names = names_of(world)
    return [page_names(data[f"a{number}"], names) for number in range(len(arguments))]


async def in_pages(client: httpx.AsyncClient, world: World, field: str, order: str, *, backwards: bool) -> list[str]:
    """The names of a list that is read two at a time."""
    size, cursor, more = ("last", "before", "hasPreviousPage") if backwards else ("first", "after", "hasNextPage")
    ask = f"""query ($at: String) {{ page: {field}({size}: 2, {cursor}: $at, orderBy: {order}) {{
        nodes {{ id }} pageInfo {{ {more} startCursor endCursor }} }} }}"""
    names, found, at = names_of(world), list[str](), None
    while True:
        page = (await execute(client, ask, at=at))["page"]
        shown = [names[node["id"]] for node in page["nodes"]]
        found = [*shown, *found] if backwards else [*found, *shown]
        if not page["pageInfo"][more]:
            return found
        at = page["pageInfo"]["startCursor" if backwards else "endCursor"]


def orders(type_name: str) -> list[str]:
    """Every order of a type."""
    fields: Any = SCHEMA.type_map[f"{type_name}OrderField"]
    return [f"{{field: {name}, direction: {way}}}" for name in fields.values for way in ("ASC", "DESC")]


def id_list(ids: Mapping[str, str]) -> str:
    return "[" + ", ".join(f'"{id}"' for id in ids.values()) + "]"


def wide_filters(world: World, type_name: str) -> list[str]:
    """Filters that every object of a type passes."""
    ids, users = id_list(ids_of(world, type_name)), id_list(ids_of(world, "User"))
    given = {
        "User": ["role: [USER, PREMIUM, BRAND, ADMIN]", 'email: {contains: "@"}'],
        "Avatar": [f"owner: {users}", "gender: FEMALE"],
        "CatalogItem": ["or: [{isActive: true}, {isActive: false}]", "price: {gte: 0}"],
        "Design": ["status: [DRAFT, PUBLISHED, ARCHIVED]", f"owner: {users}"],
    }[type_name]
    every = [
        *(f"id: {ids}", f"or: [{{id: {ids}}}, {{not: {{id: {ids}}}}}]", "not: {id: []}", "deleted: false"),
        *('createdAt: {gt: "2000-01-01T00:00:00Z"}', "and: []"),
    ]
    return [f"filter: {{{part}}}" for part in (*every, *given)]


@as_everyone
async def test_lists_hold_what_the_viewer_may_see(world: World, viewer: str) -> None:
    client = world.viewer(viewer)
    for type_name, field in LISTS.items():
        expected, code = sorted(listed(viewer)[type_name]), may_list(viewer)[type_name]
        if code is not None:
            for given in wide_filters(world, type_name):
                assert await code_of(client, f"{{ {field}({given}) {{ totalCount }} }}") == code
            continue
        ordered = orders(type_name)
        for found in await whole_lists(client, world, field, [f"orderBy: {order}" for order in ordered]):
            assert sorted(found) == expected
        for found in await whole_lists(client, world, field, wide_filters(world, type_name)):
            assert sorted(found) == expected
        for order, backwards in ((ordered[0], False), (ordered[-1], True)):
            assert sorted(await in_pages(client, world, field, order, backwards=backwards)) == expected


@as_everyone
async def test_filters_reach_nothing_else(world: World, viewer: str) -> None:
    """What a filter names exactly is found where it is listed, and nowhere else."""
    client = world.viewer(viewer)
    for type_name, field in LISTS.items():
        if may_list(viewer)[type_name] is not None:
            continue
        ids = ids_of(world, type_name)
        found = await whole_lists(client, world, field, [f'filter: {{id: "{id}"}}' for id in ids.values()])
        assert dict(zip(ids, found, strict=True)) == {
            name: [name] if name in listed(viewer)[type_name] else [] for name in ids
        }


@as_everyone
async def test_what_is_deleted_is_found_by_whom_it_is_for(world: World, viewer: str) -> None:
    client = world.viewer(viewer)
    for type_name, field in LISTS.items():
        expected, code = deleted(viewer)[type_name], may_list(viewer)[type_name]
        wide = [given.replace("filter: {", "filter: {deleted: true, ") for given in wide_filters(world, type_name)]
        wide = [given for given in wide if "deleted: false" not in given]
        if code is not None or isinstance(expected, str):
            assert code in (None, expected)
            for given in wide:
                assert await code_of(client, f"{{ {field}({given}) {{ totalCount }} }}") == expected
            continue
        for found in await whole_lists(client, world, field, wide):
            assert set(found) == expected
        # by its id it is as if absent for everyone
        for id in ids_of(world, type_name).values():
            looked_up = await execute(client, f"query ($id: ID!) {{ {LOOKUPS[type_name]}(id: $id) {{ id }} }}", id=id)
            assert expected.isdisjoint(names_of(world)[one["id"]] for one in looked_up.values() if one is not None)


@as_everyone
async def test_ids_find_what_the_viewer_may_see(world: World, viewer: str) -> None:
    client, names = world.viewer(viewer), names_of(world)
    for type_name, field in LOOKUPS.items():
        ids = ids_of(world, type_name)
        asked = " ".join(
            f'a{number}: {field}(id: "{id}") {{ id }} b{number}: node(id: "{id}") {{ id }}'
            for number, id in enumerate(ids.values())
        )
        data = await execute(
            client, f"query ($ids: [ID!]!) {{ nodes(ids: $ids) {{ id }} {asked} }}", ids=[*ids.values()]
        )
        paths = [
            data["nodes"],
            [data[f"a{number}"] for number in range(len(ids))],
            [data[f"b{number}"] for number in range(len(ids))],
        ]
        for found in paths:
            assert {names[node["id"]] for node in found if node is not None} == by_id(viewer)[type_name]
        # and one at a time, so that nothing comes of what another field has loaded
        for name, id in ids.items():
            alone = await execute(client, f"query ($id: ID!) {{ {field}(id: $id) {{ id }} }}", id=id)
            assert alone == {field: {"id": id} if name in by_id(viewer)[type_name] else None}


@as_everyone
async def test_nested_lists_hold_what_the_viewer_may_see(world: World, viewer: str) -> None:
    client, names = world.viewer(viewer), names_of(world)
    parents = {
        "User": [("designs", "Design", "user_id"), ("avatars", "Avatar", "user_id")],
        "Avatar": [("designs", "Design", "avatar_id")],
        "CatalogItem": [("designs", "Design", "catalog_item_ids")],
    }
    for type_name, lists in parents.items():
        for name, id in ids_of(world, type_name).items():
            if name not in by_id(viewer)[type_name]:
                continue
            for field, child, key in lists:
                arguments = ["", "filter: {deleted: false}", f"orderBy: {orders(child)[0]}", "filter: {deleted: true}"]
                asked = " ".join(
                    f"a{number}: {field}(first: 100, {given}) {PAGE}" for number, given in enumerate(arguments)
                )
                query = f"query ($id: ID!) {{ node(id: $id) {{ ... on {type_name} {{ {asked} }} }} }}"
                live, gone = listed(viewer)[child], deleted(viewer)[child]
                if isinstance(gone, str):
                    body = await respond(client, query, id=id)
                    assert [error["extensions"]["code"] for error in body["errors"]] == [gone]
                    assert body["data"]["node"] is None
                    query = query.replace("deleted: true", "deleted: false")
                data = (await execute(client, query, id=id))["node"]
                children: Mapping[str, Any] = world.designs if child == "Design" else world.avatars
                its = {one for one, stored in children.items() if belongs(stored, key, world, type_name, name)}
                for number, given in enumerate(arguments):
                    expected = its & (gone if "true" in given and not isinstance(gone, str) else live)
                    assert set(page_names(data[f"a{number}"], names)) == expected, (type_name, name, given)


def belongs(stored: Any, key: str, world: World, type_name: str, name: str) -> bool:
    """Whether what is stored refers to an object by this key."""
    kinds: Mapping[str, Mapping[str, Any]] = {"User": world.users, "Avatar": world.avatars, "CatalogItem": world.items}
    value, id = getattr(stored, key), kinds[type_name][name].id
    return str(id) in map(str, value) if isinstance(value, list) else str(value) == str(id)


@as_everyone
async def test_a_visible_design_shows_what_it_refers_to(world: World, viewer: str) -> None:
    """Its owner, its avatar and its items are shown, whatever else the viewer may see of them; deleted ones are not."""
    client, names = world.viewer(viewer), names_of(world)
    data = await execute(
        client,
        """{ designs(first: 100) { nodes {
             id owner { id firstName email } avatar { id name measurements { height } owner { id } }
             catalogItems { id } layers { catalogItem { id assetUrl isPremium } } } } }""",
    )
    for design in data["designs"]["nodes"]:
        name = names[design["id"]]
        owner, _, kind = name.partition("'s ")
        whose = viewer in (owner, "root")
        avatar = {"published": "worn", "complete": "worn", "archived": "worn", "draft": "private"}[kind]
        if owner in ("ada", "ben"):
            email = f"{owner}@example.com" if whose else None
            assert design["owner"] == {"id": gid(world.users[owner]), "firstName": owner.title(), "email": email}
            assert design["avatar"] == {
                "id": gid(world.avatars[f"{owner}'s {avatar}"]),
                "name": f"{owner} {avatar}",
                "measurements": {"height": 100.0} if whose else None,
                "owner": {"id": gid(world.users[owner])},
            }
        else:
            assert (design["owner"] is None) is (owner == "gone")
            assert design["avatar"] is None
        stored = world.designs[name]
        expected = {item for item, row in world.items.items() if str(row.id) in map(str, stored.catalog_item_ids)}
        expected = {item for item in expected if not item.endswith("deleted")}
        assert {names[item["id"]] for item in design["catalogItems"]} == expected
        of_layers = [layer["catalogItem"] for layer in design["layers"] if layer["catalogItem"] is not None]
        assert {names[item["id"]] for item in of_layers} == expected
        for item in of_layers:
            hidden = item["isPremium"] and viewer in ("anonymous", "eve", "ada")
            assert (item["assetUrl"] is None) is hidden


@as_everyone
async def test_hidden_fields_stay_hidden_whatever_they_are_called(world: World, viewer: str) -> None:
    """By aliases, fragments, interfaces, and next to fields that need the same columns for others."""
    query = """
        query ($user: ID!, $avatar: ID!, $item: ID!, $design: ID!) {
          id: user(id: $user) { id: email firstName: email deletedAt: role ...Account }
          node(id: $user) { id ... on Node { ... on User { email isActive } } }
          nodes(ids: [$user, $avatar]) { ... on User { a: email } ... on Avatar { b: measurements { height } } }
          avatar(id: $avatar) { isDefault: measurements { height } ... @include(if: true) { measurements { weight } } }
          design(id: $design) {
            owner { ...Account x: createdAt defaultAvatar { measurements { height } } updatedBy { email } }
            avatar { owner { email designs { nodes { owner { role } avatar { measurements { chest } } } } } }
            revisions { nodes { version } } revision(version: 2) { version }
            layers { catalogItem { designs { nodes { revisions { totalCount } } } } }
          }
          catalogItem(id: $item) { name: assetUrl isPremium: assetUrl }
        }
        fragment Account on User { email mail: email role emailVerified createdBy { id } updatedAt }
    """
    ids = {
        "user": gid(world.users["ada"]),
        "avatar": gid(world.avatars["ada's worn"]),
        "item": gid(world.items["premium"]),
        "design": gid(world.designs["ada's complete"]),
    }
    text = str(await execute(world.viewer(viewer), query, **ids))
    if viewer in ("ada", "root"):
        assert "ada@" in text
        return

    for secret in ("ada@", "root@", "idle@", "USER", "100.0", "'weight'", "'chest'", "version", "'createdAt'"):
        assert secret not in text, secret
    assert ("item.glb" in text) is (viewer in ("pia", "bob", "cleo"))


@pytest.mark.parametrize("viewer", ["anonymous", "eve", "ada"])
async def test_hidden_fields_are_no_filter_and_no_order(world: World, viewer: str) -> None:
    client, code = world.viewer(viewer), "UNAUTHENTICATED" if viewer == "anonymous" else "FORBIDDEN"
    for arguments in (
        'filter: {email: {equals: "root@example.com"}}',
        'filter: {or: [{email: {startsWith: "r"}}, {role: ADMIN}]}',
        "filter: {deleted: true}",
        f"filter: {{id: {id_list(ids_of(world, 'User'))}}}",
        "orderBy: {field: EMAIL}",
        "first: 0",
    ):
        for selected in ("totalCount", "nodes { id }", "pageInfo { hasNextPage }", "__typename"):
            assert await code_of(client, f"{{ users({arguments}) {{ {selected} }} }}") == code


@pytest.mark.parametrize("viewer", ["anonymous", "eve", "ada"])
async def test_a_cursor_of_an_admin_opens_nothing(world: World, viewer: str) -> None:
    """A cursor says where to go on; what is there is the viewer's own question."""
    client, root = world.viewer(viewer), world.viewer("root")
    for field, type_name in (("designs", "Design"), ("catalogItems", "CatalogItem")):
        edges = (await execute(root, f"{{ it: {field}(first: 100) {{ edges {{ cursor }} }} }}"))["it"]["edges"]
        every: Names = set()
        for edge in edges:
            ask = f"query ($at: String) {{ it: {field}(first: 100, after: $at) {{ nodes {{ id }} totalCount }} }}"
            page = (await execute(client, ask, at=edge["cursor"]))["it"]
            every |= {names_of(world)[node["id"]] for node in page["nodes"]}
            assert page["totalCount"] == len(listed(viewer)[type_name])
        assert every <= listed(viewer)[type_name]


async def test_errors_tell_absent_and_hidden_objects_alike(world: World) -> None:
    """Somebody else's draft is refused in the same words as a design that never was."""
    eve, absent = world.viewer("eve"), world.designs
    hidden, nowhere = gid(absent["ada's draft"]), encode_id("Design", ObjectId())
    for name in ("publishDesign", "deleteDesign", "restoreDesign", "duplicateDesign"):
        kind = name[0].upper() + name[1:]
        ask = f"mutation ($input: {kind}Input!) {{ {name}(input: $input) {{ errors {{ code message path }} }} }}"
        answers = [await respond(eve, ask, input={"id": id}) for id in (hidden, nowhere, gid(absent["ben's deleted"]))]
        assert answers == [answers[1]] * 3
        assert [error["code"] for error in answers[0]["data"][name]["errors"]] == ["NOT_FOUND"]
