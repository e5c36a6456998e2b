"""What operations cost: prices by hand, and what was executed never costs more."""

from __future__ import annotations

from typing import Any, Final

import httpx
import pytest
from graphql import GraphQLInputObjectType, build_schema, get_named_type
from starlette.applications import Starlette

from api.admission import price
from api.admission.document_cache import Document
from api.admission.refusals import CAP
from api.config.settings import Settings
from api.fields.costs import Costs
from api.http.application import create_app
from api.schema import DOMAINS, schema
from api.stores.stores import Stores
from tests.support.factories.avatars import create_avatar
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.designs import create_design, layer_of
from tests.support.factories.users import create_user
from tests.support.graphql import gid, respond
from tests.support.signing_in import as_admin

pytestmark = pytest.mark.anyio

ROOMY: Final = {"max_cost": CAP, "max_depth": 100, "max_aliases": 1000}

BY_HAND: dict[str, tuple[str, dict[str, Any], int]] = {
    "a page that is 20 long": ("{ catalogItems { nodes { name price } } }", {}, 2 + 20),
    "a page of 50, with its place": (
        "{ catalogItems(first: 50) { edges { cursor node { id } } pageInfo { endCursor } } }",
        {},
        52,
    ),
    "facets of everything": (
        "{ catalogItems { facets { color { value count } price { min histogram { from count } } } } }",
        {},
        2 + 100 + 2 * 100,
    ),
    "facets of what was filtered, the conditions counted once for all, and once for the count": (
        '{ catalogItems(filter: {name: {contains: "a"}}) { totalCount ...f } } '
        "fragment f on CatalogItemConnection { facets { a: tags(first: 100) { value } ...g } } "
        "fragment g on CatalogItemFacets { b: tags { count } }",
        {},
        2 + 300 + 300 + 2 * 100,
    ),
    "facets of what belongs to others": (
        "{ users(first: 10) { nodes { designs { facets { tags { value count } status { value } } } } } }",
        {},
        2 + 10 * (1 + 2 + 10 + 2 * 10),
    ),
    "facets whose values are asked for often": (
        "query ($first: Int) { catalogItems { facets { color(first: $first) { "
        + " ".join(f"v{number}: value" for number in range(20))
        + " } } } }",
        {"first": 50},
        2 + 100 + 100 + 50 * 2,
    ),
    "an object": ('{ design(id: "x") { name metadata { tags } } }', {}, 1),
    "an object with references": ('{ design(id: "x") { owner { id } avatar { id } } }', {}, 3),
    "the page of the README": (
        "{ designs(first: 20) { totalCount nodes { name owner { id } avatar { id }"
        " layers { catalogItem { name } } } } }",
        {},
        2 + 100 + 20 * (1 + 1 + 1 + 20),
    ),
    "pages in a page": (
        "{ users(first: 10) { nodes { avatars(first: 5) { nodes { id } } designs(last: 3) { nodes { id } } } } }",
        {},
        2 + 10 * (1 + (2 + 5) + (2 + 3)),
    ),
    "what is below each of a design's items": (
        '{ design(id: "x") { layers { catalogItem { designs(first: 2) { nodes { id } } } } } }',
        {},
        1 + 20 + 200 * (2 + 2),
    ),
    "objects by their ids": ("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", {"ids": ["a", "b", "c"]}, 1 + 3),
    "the dearest of the types": (
        '{ node(id: "x") { ... on User { createdBy { id } } ... on Design { layers { layerId } } } }',
        {},
        1 + 20,
    ),
    "a mutation": (
        "mutation { publishDesign(input: {id: 1}) { design { owner { id } } errors { code } } }",
        {},
        10 + 1 + 1,
    ),
    "hashing": ('mutation { signIn(input: {email: "a", password: "b"}) { errors { code } } }', {}, 50),
    "health": ("{ health { status checks { postgres { healthy } } } }", {}, 2),
    "a variable page": ("query ($n: Int) { users(first: $n) { nodes { id } } }", {"n": 7}, 2 + 7),
    "a variable that is not given": ("query ($n: Int) { users(first: $n) { nodes { id } } }", {}, 2 + 20),
    "a variable with a default": ("query ($n: Int = 3) { users(first: $n) { nodes { id } } }", {}, 2 + 3),
    "a default that is overridden": ("query ($n: Int = 3) { users(first: $n) { nodes { id } } }", {"n": 4}, 2 + 4),
    "a variable that is wrong": ("query ($n: Int) { users(first: $n) { nodes { id } } }", {"n": "many"}, 2 + 20),
    "a variable beyond the maximum": ("query ($n: Int) { users(first: $n) { nodes { id } } }", {"n": 10**9}, 2 + 100),
    "a variable below nothing": ("query ($n: Int) { users(first: $n) { nodes { id } } }", {"n": -5}, 2),
    "variables in variables": (
        "query ($n: Int, $m: Int) { users(first: $n) { nodes { ...A } } }"
        " fragment A on User { designs(first: $m) { nodes { id } } avatars(first: $n) { nodes { id } } }",
        {"n": 4, "m": 6},
        2 + 4 * (1 + (2 + 6) + (2 + 4)),
    ),
    "what is skipped, as if it were not": (
        "query ($no: Boolean!) { viewer { createdBy @skip(if: $no) { id } } }",
        {"no": True},
        2,
    ),
    "ten leaves are as much as an object": (
        "{ catalogItems(first: 2) { nodes { id name thumbnailUrl type category assetUrl price isActive createdAt"
        " updatedAt properties { color } } } }",
        {},
        2 + 2 * (1 + 1),
    ),
    "a large text is as much as an object": (
        "{ catalogItems(first: 2) { nodes { description } } designs(first: 3) { nodes { metadata { description } } } }",
        {},
        2 + 2 * (1 + 1) + 2 + 3 * (1 + 1),
    ),
}


def leaves(count: int) -> str:
    """An item with so many leaves."""
    return '{ catalogItem(id: "x") { ' + " ".join(f"l{number}: name" for number in range(count)) + " } }"


CONSTANTS: Final[dict[str, tuple[str, dict[str, Any], int]]] = {
    "nine leaves": (leaves(9), {}, 1),
    "ten leaves": (leaves(10), {}, 2),
    "nineteen leaves": (leaves(19), {}, 2),
    "twenty leaves": (leaves(20), {}, 3),
    "an object for each description": ('{ catalogItem(id: "x") { description } }', {}, 2),
    "leaves of two objects": (
        '{ catalogItem(id: "x") { a: id b: id c: id d: id e: id brand { a: id b: id c: id d: id e: id } } }',
        {},
        1 + 1,
    ),
    "the longest page": ("{ catalogItems(first: 100) { nodes { id } } }", {}, 102),
    "a page beyond it": ("{ catalogItems(first: 101) { nodes { id } } }", {}, 102),
    "an empty page": ("{ catalogItems(first: 0) { nodes { id } } }", {}, 2),
    "a page of null": ("{ catalogItems(first: null) { nodes { id } } }", {}, 22),
    "the greater of both": ("{ catalogItems(first: 3, last: 5) { nodes { id } } }", {}, 7),
    "the greater, by variables": (
        "query ($n: Int, $m: Int) { catalogItems(first: $n, last: $m) { nodes { id } } }",
        {"n": 9, "m": 4},
        11,
    ),
    "a literal beside a variable": (
        "query ($n: Int) { catalogItems(first: 3, last: $n) { nodes { id } } }",
        {"n": 2},
        5,
    ),
    "a whole number as a float": ("query ($n: Int) { users(first: $n) { nodes { id } } }", {"n": 7.0}, 9),
    "a float that is none": ("query ($n: Int) { users(first: $n) { nodes { id } } }", {"n": 7.5}, 22),
    "true is no number": ("query ($n: Int) { users(first: $n) { nodes { id } } }", {"n": True}, 22),
    "one id": ('{ nodes(ids: "a") { id } }', {}, 2),
    "three ids": ('{ nodes(ids: ["a", "b", "c"]) { id } }', {}, 4),
    "ids beyond the maximum": ("query ($i: [ID!]!) { nodes(ids: $i) { id } }", {"i": ["a"] * 101}, 101),
    "one id, by a variable": ("query ($i: [ID!]!) { nodes(ids: $i) { id } }", {"i": "abc"}, 2),
    "a preview of a deletion": ('{ deletionPreview(id: "x") { avatars } }', {}, 20),
    "a difference": ('{ design(id: "x") { diff(from: 1, to: 2) { fromVersion } } }', {}, 1 + 40),
    "a revision": ('{ design(id: "x") { revision(version: 1) { version } } }', {}, 1 + 1),
    "what is below each layer of a difference": (
        '{ design(id: "x") { diff(from: 1, to: 2) { added { catalogItem { brand { id } } } } } }',
        {},
        1 + 40 + 200,
    ),
    "an import": ("mutation { importCatalogItems(input: {items: []}) { errors { code } } }", {}, 100),
    "the items of an import": (
        "mutation { importCatalogItems(input: {items: []}) { results { item { brand { id } } } } }",
        {},
        100 + 500 * 2,
    ),
    "a deletion": ('mutation { deleteUser(input: {id: "x"}) { errors { code } } }', {}, 100),
    "a restoration": ('mutation { restoreUser(input: {id: "x"}) { errors { code } } }', {}, 100),
    "a new account": ('mutation { signUp(input: {email: "a", password: "b"}) { errors { code } } }', {}, 50),
    "another password": (
        'mutation { changePassword(input: {currentPassword: "a", newPassword: "b"}) { errors { code } } }',
        {},
        50,
    ),
}

_NOT_CONTAINS: Final = "{and: [" + '{not: {name: {contains: "%s"}}} ' * 60 + "]}"
_FILTERED: Final = "query ($f: CatalogItemFilter%s) { catalogItems(filter: %s) { %s } }"
_ROWS, _COUNT = "nodes { id }", "totalCount"


def filtered(filter: str, select: str = _COUNT) -> str:
    """A list of everything with this filter."""
    return f"{{ catalogItems(filter: {filter}) {{ {select} }} }}"


FILTERED: Final[dict[str, tuple[str, dict[str, Any], int]]] = {
    "a count": (filtered("{}"), {}, 2 + 100),
    "a comparison is a quarter": (filtered("{type: FABRIC}"), {}, 2 + 125),
    "each of them": (filtered("{type: FABRIC, price: {gte: 1, lt: 9}}"), {}, 2 + 175),
    "one of several values": (filtered("{type: [FABRIC, PATTERN]}"), {}, 2 + 250),
    "one value in a list": (filtered("{type: [FABRIC]}"), {}, 2 + 125),
    "a text": (filtered('{name: {equals: "a"}}'), {}, 2 + 125),
    "several texts": (filtered('{name: {in: ["a", "b"]}}'), {}, 2 + 250),
    "a part of a text": (filtered('{name: {contains: "a"}}'), {}, 2 + 300),
    "its beginning": (filtered('{name: {startsWith: "a"}}'), {}, 2 + 300),
    "a tag": (filtered('{tags: {any: "a"}}'), {}, 2 + 725),
    "three tags": (filtered('{tags: {all: ["a", "b", "c"]}}'), {}, 2 + 775),
    "what is null asks for nothing": (filtered("{name: null, tags: {any: null}}"), {}, 2 + 100),
    "nests": (
        filtered('{not: {type: FABRIC}, and: {isPremium: true}, or: [{isActive: true}, {name: {contains: "a"}}]}'),
        {},
        2 + 100 * (4 + 1 + 1 + 1 + 8) // 4,
    ),
    "a page that is not filtered": (filtered("{}", _ROWS), {}, 2 + 20),
    "a page is read to its end": (filtered("{type: FABRIC}", _ROWS), {}, 125 + 20),
    "whether it goes on": (filtered("{type: FABRIC}", "pageInfo { hasNextPage }"), {}, 125),
    "both": (filtered("{type: FABRIC}", f"{_COUNT} {_ROWS}"), {}, 125 + 125 + 20),
    "both, by fragments": (
        "{ catalogItems(filter: {type: FABRIC}) { ...A } } fragment A on CatalogItemConnection { ... { totalCount }"
        " ...B } fragment B on CatalogItemConnection { nodes { id } }",
        {},
        125 + 125 + 20,
    ),
    "neither": (filtered("{type: FABRIC}", "__typename"), {}, 2),
    "what belongs to an object": (
        '{ viewer { designs(filter: {status: PUBLISHED, name: {contains: "a"}}) { totalCount nodes { id } } } }',
        {},
        1 + 2 * 13 // 4 + 10 * 13 // 4 + 20,
    ),
    "for each object": (
        "{ users(first: 7) { nodes { designs(first: 3, filter: {status: PUBLISHED}) { totalCount nodes { id } } } } }",
        {},
        2 + 7 * (1 + 2 + 12 + 3),
    ),
    "a variable": (_FILTERED % ("", "$f", _COUNT), {"f": {"name": {"contains": "a"}, "type": ["FABRIC"]}}, 2 + 325),
    "a variable that is not given": (_FILTERED % ("", "$f", _COUNT), {}, 2 + 100),
    "a variable that is null": (_FILTERED % (" = {isActive: true}", "$f", _COUNT), {"f": None}, 2 + 100),
    "a variable's default": (_FILTERED % (" = {isActive: true}", "$f", _COUNT), {}, 2 + 125),
    "a variable that is wrong": (_FILTERED % ("", "$f", _COUNT), {"f": {"or": ["a", {"type": {"b": []}}]}}, 2 + 150),
    "a variable used twice": (
        _FILTERED % ("", "{or: [{not: $f}], not: $f}", _COUNT),
        {"f": {"isActive": True}},
        2 + 150,
    ),
    "a variable in a filter": (
        "query ($q: String, $t: [CatalogItemType!]) { catalogItems(filter: {name: {contains: $q}, type: $t})"
        " { totalCount } }",
        {"q": "a", "t": ["FABRIC", "PATTERN"]},
        2 + 100 * (4 + 8 + 6) // 4,
    ),
    "variables in pages and filters": (
        "query ($n: Int, $f: DesignFilter) { users(first: $n) { nodes { designs(filter: $f) { totalCount } } } }",
        {"n": 5, "f": {"status": "DRAFT"}},
        2 + 5 * (1 + 2 + 12),
    ),
    "two counts, each with 60 parts of texts": (
        "{" + " ".join(f"a{n}: catalogItems(filter: {_NOT_CONTAINS}) {{ totalCount }}" for n in range(2)) + "}",
        {},
        2 * (2 + 12_100),
    ),
}


def price_of(query: str, settings: Settings, variables: dict[str, Any] | None = None) -> int:
    """What the query may cost."""
    document = Document(query, settings.model_copy(update=ROOMY))
    assert document.errors(schema._schema) == []
    operation = document.operation(None)
    assert operation is not None
    return document.price(operation, schema.costs).of(variables)


@pytest.mark.parametrize("name", BY_HAND)
def test_prices(name: str, settings: Settings) -> None:
    query, variables, expected = BY_HAND[name]

    assert price_of(query, settings, variables) == expected


@pytest.mark.parametrize("name", CONSTANTS)
def test_constants_of_the_price(name: str, settings: Settings) -> None:
    query, variables, expected = CONSTANTS[name]

    assert price_of(query, settings, variables) == expected


@pytest.mark.parametrize("name", FILTERED)
def test_conditions_multiply_what_pages_and_counts_cost(name: str, settings: Settings) -> None:
    query, variables, expected = FILTERED[name]
    roomy = settings.model_copy(update={"max_tokens": 50_000, "max_document_length": 1_000_000})

    assert price_of(query, roomy, variables) == expected


def test_every_operator_of_filters_is_weighed() -> None:
    """Whoever adds one decides in `api.lists.costs` what it weighs."""
    types = schema._schema.type_map
    filters = [
        named for name, named in types.items() if name.endswith("Filter") and name not in ("TextFilter", "TagsFilter")
    ]
    used: set[str] = set()
    operators: set[str] = set()
    for named in filters:
        assert isinstance(named, GraphQLInputObjectType)
        for field in named.fields.values():
            kind = get_named_type(field.type)
            if isinstance(kind, GraphQLInputObjectType) and kind not in filters:
                used.add(kind.name)
                operators |= kind.fields.keys()

    assert used == {"TextFilter", "TagsFilter", "IntRange", "DateTimeRange"}
    assert operators == {"equals", "in", "contains", "startsWith", "any", "all", "gt", "gte", "lt", "lte"}


def test_every_list_of_objects_has_a_length() -> None:
    with pytest.raises(ValueError, match=r"^how many items Query\.things may have is not declared$"):
        Costs(build_schema("type Query { things: [Thing] } type Thing { id: ID }"), {})
    with pytest.raises(ValueError, match=r"^there are no such fields: Query\.other$"):
        Costs(build_schema("type Query { id: ID }"), {"Query.other": DOMAINS.costs["Query.nodes"]})


def test_each_selection_is_summed_once(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    summed = []
    parts = price._Pricing._parts

    def counting(self: Any, *args: Any) -> Any:
        summed.append(args)
        return parts(self, *args)

    monkeypatch.setattr(price._Pricing, "_parts", counting)
    pattern = "fragment F%d on User{createdBy{...F%d} updatedBy{...F%d}}"
    chain = " ".join(pattern % (number, number + 1, number + 1) for number in range(40))

    found = price_of(f"{{viewer{{...F0}}}} {chain} fragment F40 on User{{id}}", settings)

    assert found == CAP
    assert len(summed) == 2 + 41 + 2 * 40  # of the operation, its field, the fragments, and their fields


@pytest.fixture
async def costly(settings: Settings, stores: Stores) -> Any:
    """An admin's client whose answers say what they cost, and something of everything."""
    app: Starlette = create_app(settings.model_copy(update={"report_cost": True, "max_cost": CAP}))
    ids = []
    for number in range(3):
        user = await create_user(stores)
        avatar = await create_avatar(stores, user_id=user.id, is_default=True)
        items = [await create_catalog_item(stores, created_by=user.id) for _ in range(2)]
        layers = [layer_of(item.id, id=str(index)) for index, item in enumerate(items)]
        design = await create_design(
            stores, user_id=user.id, avatar_id=avatar.id, layers=layers, name=f"Evening {number}", status="published"
        )
        ids += [gid(user), gid(avatar), gid(items[0]), gid(design)]
    async with app.router.lifespan_context(app):
        base = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1:8000")
        async with base, as_admin(base, app) as admin:
            yield admin, ids


EXECUTED: dict[str, tuple[int, int]] = {
    "{ users(first: 3) { nodes { id } } }": (5, 5),
    "{ users(first: 10) { nodes { id } } }": (12, 5),
    "{ users(first: 3) { edges { node { createdBy { id } } } } }": (2 + 3 * 2, 2 + 3 * 2),
    "{ users { totalCount nodes { designs(first: 5) { nodes { id } } } } }": (
        2 + 100 + 20 * (1 + 2 + 5),
        2 + 100 + 3 * (1 + 2 + 1),
    ),
    "{ designs { nodes { owner { id } avatar { id } layers { catalogItem { name } } } } }": (
        2 + 20 * (1 + 1 + 1 + 20),
        2 + 3 * (1 + 1 + 1 + 20),
    ),
    "{ health { status } }": (2, 2),
    "{ viewer { id } }": (1, 1),
    "{ __typename }": (0, 0),
    '{ designs(filter: { name: { startsWith: "evening" } }) { totalCount nodes { id } } }': (
        300 + 300 + 20,
        300 + 300 + 3,
    ),
    "{ designs(filter: { status: PUBLISHED }) { totalCount } }": (2 + 125, 2 + 125),
    "{ users(filter: { isActive: true }) { pageInfo { hasNextPage } } }": (125, 125),
    "{ users(filter: { deleted: true }) { nodes { id } } }": (125 + 20, 2),
    '{ users(first: 3) { nodes { avatars(first: 1, filter: { isDefault: true, name: { contains: "a" } }) {'
    " totalCount nodes { id } } } } }": (2 + 3 * (1 + 6 + 32 + 1), 2 + 3 * (1 + 6 + 32 + 1)),
    "{ auditLog(first: 1, filter: { kind: [USER, AVATAR] }) { totalCount nodes { kind } } }": (
        250 + 250 + 1,
        250 + 250 + 1,
    ),
}


@pytest.mark.parametrize("query", EXECUTED)
async def test_costs_are_in_the_response(costly: tuple[httpx.AsyncClient, list[str]], query: str) -> None:
    body = await respond(costly[0], query)

    requested, actual = EXECUTED[query]
    assert body["extensions"].pop("statements").keys() == {"sql", "mongodb", "joined"}
    assert body["extensions"] == {"cost": {"requested": requested, "actual": actual}}


async def test_what_is_executed_never_costs_more(costly: tuple[httpx.AsyncClient, list[str]]) -> None:
    client, ids = costly
    tried = [
        (query, variables)
        for name, (query, variables, _) in (BY_HAND | FILTERED).items()
        if not query.startswith("mutation") and "wrong" not in name and "60 parts" not in name
    ]
    tried += [
        (
            "query ($ids: [ID!]!) { nodes(ids: $ids) { __typename ... on User { designs { nodes { name } } }"
            " ... on Design { layers { catalogItem { designs { nodes { id } } } } catalogItems { id } } } }",
            {"ids": ids[:4]},
        ),
        ("{ __schema { types { name fields { name args { name } type { name } } inputFields { name } } } }", {}),
        ("{ auditLog(first: 50) { nodes { kind record { id } actor { id } } } }", {}),
        ("{ designs { nodes { diff(from: 1, to: 1) { added { layerId } } revisions { nodes { version } } } } }", {}),
    ]
    dear = []
    for query, variables in tried:
        body = await respond(client, query, **variables)
        cost = body["extensions"]["cost"]
        if cost["actual"] > cost["requested"]:
            dear.append((query, cost))
    assert dear == []


async def test_a_refusal_says_the_price(settings: Settings, stores: Stores) -> None:
    app = create_app(settings.model_copy(update={"max_cost": 21, "report_cost": True}))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
            body = await respond(client, "{ designs { nodes { id } } }")
            small = await respond(client, "{ designs(first: 19) { nodes { id } } }")

    assert body == {
        "errors": [
            {
                "message": "The operation costs too much: 22, at most 21.",
                "extensions": {"code": "TOO_COMPLEX", "limit": "MAX_COST", "maximum": 21, "value": 22},
            }
        ]
    }
    assert small["extensions"]["cost"] == {"requested": 21, "actual": 2}
    assert small["extensions"].keys() == {"cost", "statements"}
