"""What clients must not send: always a code that says what is wrong, or an empty page, never a failure of ours."""

from __future__ import annotations

import httpx
import pytest
from bson import ObjectId

from api.stores.stores import Stores
from tests.support.factories.designs import create_design
from tests.support.factories.users import create_user
from tests.support.graphql import LISTS, error_of, execute, gid, respond
from tests.support.requests.bad_input import NO_ID, NO_VALID_ID, encoded, refused

pytestmark = pytest.mark.anyio


@pytest.fixture
def client(admin: httpx.AsyncClient) -> httpx.AsyncClient:
    """A client that may see everything."""
    return admin


NO_DESIGN = ObjectId("6560c0ffee6560c0ffee6560")
MALFORMED_IDS = {
    "empty": "",
    "text": "nonsense",
    "not base64": "%%%%",
    "not ASCII": "Üser:ä",
    "bytes": encoded(b"\xff\xfe\x00"),
    "no key": encoded("User:"),
    "no type": encoded(f":{NO_ID}"),
    "unknown type": encoded(f"Query:{NO_ID}"),
    "null byte": "\x00",
    "null byte inside": encoded(f"User:{NO_ID}\x00"),
    "null byte as key": encoded("User:\x00"),
    "key of another store": encoded(f"User:{ObjectId()}"),
    "UUID of a design": encoded(f"Design:{NO_ID}"),
    "another spelling": encoded(f"User:{{{NO_ID}}}"),
    "capital letters": encoded(f"User:{str(NO_ID).upper().replace('-', '')}"),
    "operator": encoded('Design:{"$ne": null}'),
    "SQL": encoded("User:' OR true --"),
    "raw UUID": str(NO_ID),
    "raw ObjectId": str(ObjectId()),
    "a version of no design": encoded("DesignRevision:1"),
    "version 0": encoded(f"DesignRevision:{NO_DESIGN}:0"),
    "a version with a sign": encoded(f"DesignRevision:{NO_DESIGN}:+1"),
    "another spelling of a version": encoded(f"AuditEntry:{NO_DESIGN}:01"),
    "too large a version": encoded(f"AuditEntry:{NO_DESIGN}:2147483648"),
    "a huge version": encoded(f"AuditEntry:{NO_DESIGN}:{'9' * 60}"),
    "a version in other digits": encoded(f"DesignRevision:{NO_DESIGN}:١"),
    "no version": encoded(f"DesignRevision:{NO_DESIGN}"),
    "a version of a design": encoded(f"Design:{NO_DESIGN}:1"),
    "a version of a UUID": encoded(f"AuditEntry:{NO_ID}:1"),
    "overlong": encoded("User:" + "a" * 10_000),
}


@pytest.mark.parametrize("given", MALFORMED_IDS.values(), ids=MALFORMED_IDS.keys())
async def test_malformed_ids(client: httpx.AsyncClient, given: str) -> None:
    for field in ("node", "user", "avatar", "catalogItem", "design"):
        code, message = await error_of(client, f"query ($id: ID!) {{ {field}(id: $id) {{ id }} }}", id=given)
        assert (code, message) == ("BAD_ID", NO_VALID_ID)
    code, _ = await error_of(client, "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=[given])
    assert code == "BAD_ID"
    for name in LISTS:
        assert await refused(client, name, filter={"id": given}) == NO_VALID_ID


async def test_ids_of_nothing(client: httpx.AsyncClient) -> None:
    user, design = encoded(f"User:{NO_ID}"), encoded(f"Design:{ObjectId()}")

    data = await execute(
        client,
        """query ($user: ID!, $design: ID!, $ids: [ID!]!) {
             user(id: $user) { id } design(id: $design) { id } node(id: $user) { id } nodes(ids: $ids) { id }
           }""",
        user=user,
        design=design,
        ids=[user, design, user],
    )

    assert data == {"user": None, "design": None, "node": None, "nodes": [None, None, None]}


async def test_ids_of_another_type(client: httpx.AsyncClient, stores: Stores) -> None:
    user, design = gid(await create_user(stores)), gid(await create_design(stores))

    assert await error_of(client, "query ($id: ID!) { avatar(id: $id) { id } }", id=user) == (
        "BAD_ID",
        "This is an id of type User, not Avatar.",
    )
    assert await error_of(client, "query ($id: ID!) { user(id: $id) { id } }", id=design) == (
        "BAD_ID",
        "This is an id of type Design, not User.",
    )
    for name, filter in {
        "users": {"createdBy": design},
        "avatars": {"owner": design},
        "catalogItems": {"createdBy": [user, design]},
        "designs": {"owner": design},
    }.items():
        assert await refused(client, name, filter=filter) == "This is an id of type Design, not User."
    assert await refused(client, "designs", filter={"avatar": user}) == "This is an id of type User, not Avatar."
    assert (
        await refused(client, "designs", filter={"catalogItem": user}) == "This is an id of type User, not CatalogItem."
    )


async def test_one_bad_id_spoils_no_other(client: httpx.AsyncClient, stores: Stores) -> None:
    user, design = gid(await create_user(stores)), gid(await create_design(stores))

    body = await respond(
        client, "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=[user, "nonsense", design, encoded("User:")]
    )

    assert body["data"] == {"nodes": [{"id": user}, None, {"id": design}, None]}
    assert [(error["path"], error["extensions"]["code"]) for error in body["errors"]] == [
        (["nodes", 1], "BAD_ID"),
        (["nodes", 3], "BAD_ID"),
    ]


async def test_too_many_nodes(client: httpx.AsyncClient) -> None:
    code, message = await error_of(
        client, "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=[encoded(f"User:{NO_ID}")] * 101
    )

    assert (code, message) == ("BAD_USER_INPUT", "nodes takes at most 100 ids; these are 101.")


OF_DOCUMENTS = dict.fromkeys(("{", "}", "\x00"), "GRAPHQL_PARSE_FAILED") | {
    "query ($id: ID!) { user(id: $id) { id } }": "BAD_VARIABLES",
    "query A { users { totalCount } } query B { users { totalCount } }": "OPERATION_RESOLUTION_FAILURE",
}


async def test_unknown_names(client: httpx.AsyncClient) -> None:
    for query in (
        "{ nothing }",
        "{ users { nothing } }",
        "{ users(size: 5) { totalCount } }",
        "{ users(filter: {nothing: 1}) { totalCount } }",
        "{ users(filter: {role: NOBODY}) { totalCount } }",
        "{ users(orderBy: {field: PASSWORD_HASH}) { totalCount } }",
        "{ users(orderBy: {direction: ASC}) { totalCount } }",
        "{ users }",
        "{ user { id } }",
        "query ($id: ID!) { user(id: $id) { id } }",
        "{ ...Missing }",
        "mutation { nothing }",
        "subscription { nothing }",
        "fragment F on User { id ...F } { user(id: 1) { ...F } }",
        "{",
        "}",
        "\x00",
        "query A { users { totalCount } } query B { users { totalCount } }",
    ):
        code, _ = await error_of(client, query)
        assert code == OF_DOCUMENTS.get(query, "GRAPHQL_VALIDATION_FAILED"), query
