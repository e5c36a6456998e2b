"""Who may change what: every mutation of the schema, as each kind of viewer; a refused one changes nothing.

A mutation that is new belongs into the table, or the test fails.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final

import httpx
import pytest
from bson import ObjectId

from api.ids import encode_id
from tests.support.graphql import is_empty, respond
from tests.support.mutations.inputs import INPUTS, Input, mutation
from tests.support.requests.selections import Seen, fields_of, object_type, reachable, record, table, type_of
from tests.support.stores.digest import digest
from tests.support.world import OPEN, VIEWERS, WALLED, World

pytestmark = pytest.mark.anyio

EVERYONE: Final = frozenset(VIEWERS)
SIGNED_IN: Final = EVERYONE - {"anonymous"}
OWNER: Final = frozenset({"owner", "admin"})
MAKER: Final = frozenset({"maker", "admin"})
BRANDS: Final = frozenset({"brand", "maker", "admin"})
ADMIN: Final = frozenset({"admin"})

# what is reached by mutations only; `errors` are for whoever gets a payload
FIELDS: Final = table(
    {
        EVERYONE: """
            SignUpPayload: accessToken refreshToken expiresAt user errors
            SignInPayload: accessToken refreshToken expiresAt user errors
            RefreshSessionPayload: accessToken refreshToken expiresAt user errors
            InvalidInput: code message path
            ConflictError: code message path
        """,
        SIGNED_IN: """
            SignOutPayload: ended errors
            UpdateProfilePayload: user errors
            ChangePasswordPayload: user errors
            CreateAvatarPayload: avatar errors
            UpdateAvatarPayload: errors
            SetDefaultAvatarPayload: errors
            DeleteAvatarPayload: errors
            RestoreAvatarPayload: errors
            CreateDesignPayload: design errors
            DuplicateDesignPayload: design errors
            UpdateDesignPayload: errors
            ApplyDesignPatchPayload: errors
            PublishDesignPayload: errors
            ArchiveDesignPayload: errors
            ReturnDesignToDraftPayload: errors
            DeleteDesignPayload: errors
            RestoreDesignPayload: errors
            RestoreDesignRevisionPayload: errors
            NotFoundError: code message path
            VersionConflict: code message path current layerIds
        """,
        OWNER: """
            UpdateAvatarPayload: avatar
            SetDefaultAvatarPayload: avatar
            DeleteAvatarPayload: avatar
            RestoreAvatarPayload: avatar
            UpdateDesignPayload: design
            ApplyDesignPatchPayload: design
            PublishDesignPayload: design
            ArchiveDesignPayload: design
            ReturnDesignToDraftPayload: design
            DeleteDesignPayload: design
            RestoreDesignPayload: design
            RestoreDesignRevisionPayload: design
        """,
        BRANDS: """
            CreateCatalogItemPayload: catalogItem errors
            ImportCatalogItemsPayload: results imported errors
            ImportResult: index item errors
            UpdateCatalogItemPayload: errors
            DeleteCatalogItemPayload: errors
            RestoreCatalogItemPayload: errors
        """,
        MAKER: """
            UpdateCatalogItemPayload: catalogItem
            DeleteCatalogItemPayload: catalogItem
            RestoreCatalogItemPayload: catalogItem
        """,
        ADMIN: """
            SetUserRolePayload: user errors
            DeactivateUserPayload: user errors
            ReactivateUserPayload: user errors
            DeleteUserPayload: user errors
            RestoreUserPayload: user errors
        """,
    }
)

OK: Final = "ok"
Outcomes = Mapping[str, str]


def only(allowed: frozenset[str], otherwise: str = "FORBIDDEN", **others: str) -> Outcomes:
    """Done for these; UNAUTHENTICATED for nobody, a code for the rest."""
    return {
        viewer: OK
        if viewer in allowed
        else others.get(viewer, "UNAUTHENTICATED" if viewer == "anonymous" else otherwise)
        for viewer in VIEWERS
    }


FOR_EVERYONE: Final = only(EVERYONE)
FOR_SIGNED_IN: Final = only(SIGNED_IN)
FOR_ADMINS: Final = only(ADMIN)
FOR_BRANDS: Final = only(BRANDS)
OF_OTHERS: Final = only(OWNER, "NOT_FOUND")
OF_OTHER_BRANDS: Final = only(MAKER, brand="NOT_FOUND")

# on an object that strangers may see, and on one that is hidden from them: Ada's, or Cleo's item; both alike
OUTCOMES: Final[Mapping[str, tuple[Outcomes, Outcomes]]] = {
    "signUp": (FOR_EVERYONE, FOR_EVERYONE),
    "signIn": (FOR_EVERYONE, FOR_EVERYONE),
    "refreshSession": (FOR_EVERYONE, FOR_EVERYONE),
    "signOut": (FOR_SIGNED_IN, FOR_SIGNED_IN),
    "updateProfile": (FOR_SIGNED_IN, FOR_SIGNED_IN),
    "changePassword": (FOR_SIGNED_IN, FOR_SIGNED_IN),
    "setUserRole": (FOR_ADMINS, FOR_ADMINS),
    "deactivateUser": (FOR_ADMINS, FOR_ADMINS),
    "reactivateUser": (FOR_ADMINS, FOR_ADMINS),
    "deleteUser": (FOR_ADMINS, FOR_ADMINS),
    "restoreUser": (FOR_ADMINS, FOR_ADMINS),
    "createAvatar": (FOR_SIGNED_IN, only(OWNER)),  # for the viewer, for Ada
    "updateAvatar": (OF_OTHERS, OF_OTHERS),  # worn or not: it is not listed for others
    "setDefaultAvatar": (OF_OTHERS, OF_OTHERS),
    "deleteAvatar": (OF_OTHERS, OF_OTHERS),
    "restoreAvatar": (OF_OTHERS, OF_OTHERS),
    "createCatalogItem": (FOR_BRANDS, FOR_BRANDS),
    "updateCatalogItem": (OF_OTHER_BRANDS, OF_OTHER_BRANDS),
    "deleteCatalogItem": (OF_OTHER_BRANDS, OF_OTHER_BRANDS),
    "restoreCatalogItem": (OF_OTHER_BRANDS, OF_OTHER_BRANDS),
    "importCatalogItems": (FOR_BRANDS, FOR_BRANDS),
    "createDesign": (FOR_SIGNED_IN, FOR_SIGNED_IN),
    "updateDesign": (OF_OTHERS, OF_OTHERS),
    "applyDesignPatch": (OF_OTHERS, OF_OTHERS),
    "publishDesign": (OF_OTHERS, OF_OTHERS),
    "archiveDesign": (OF_OTHERS, OF_OTHERS),
    "returnDesignToDraft": (OF_OTHERS, OF_OTHERS),
    "duplicateDesign": (FOR_SIGNED_IN, OF_OTHERS),
    "deleteDesign": (OF_OTHERS, OF_OTHERS),
    "restoreDesign": (OF_OTHERS, OF_OTHERS),
    "restoreDesignRevision": (OF_OTHERS, OF_OTHERS),
}

# refusals that have nothing to do with rights, for the fields of errors
REFUSALS: Final[Mapping[str, tuple[Input, Outcomes]]] = {
    "refreshSession": ({"refreshToken": "nonsense"}, dict.fromkeys(VIEWERS, "INVALID_REFRESH_TOKEN")),
    "signUp": ({"email": "ada@example.com", "password": "long enough"}, dict.fromkeys(VIEWERS, "EMAIL_TAKEN")),
    "publishDesign": ({"id": encode_id("Design", ObjectId())}, only(frozenset(), "NOT_FOUND")),
    "duplicateDesign": ({"expectedVersion": 9}, only(frozenset(), "VERSION_CONFLICT")),
}


async def outcome(client: httpx.AsyncClient, name: str, values: Input, seen: Seen) -> str:
    """`ok`, or the codes of the errors, which are either top-level or in the payload."""
    body = await respond(client, mutation(name), input=values)
    if "errors" in body:
        assert is_empty(body)
        return " ".join(error["extensions"]["code"] for error in body["errors"])
    payload = body["data"]["it"]
    record(type_of(object_type("Mutation").fields[name]), payload, seen)
    return " ".join(error["code"] for error in payload["errors"]) or OK


async def outcomes(
    world: World, name: str, build: Callable[[], Awaitable[Input]], expected: Outcomes, seen: dict[str, Seen]
) -> dict[str, str]:
    """What a mutation answers each viewer: those who are to be refused one after the other, who must change nothing,
    then the others, each on an object of their own."""
    found = {}
    clients = {viewer: await world.sign_in_anew(viewer) for viewer in VIEWERS}
    values, before = await build(), await digest(world.stores)
    for viewer in VIEWERS:
        if expected[viewer] != OK:
            found[viewer] = await outcome(clients[viewer], name, values, seen[viewer])
    assert await digest(world.stores) == before, name
    for viewer in VIEWERS:
        if expected[viewer] == OK:
            found[viewer] = await outcome(clients[viewer], name, await build(), seen[viewer])
    return found


async def refusable(name: str, world: World, given: Input) -> Input:
    """A valid input, with what is wrong in it."""
    return await INPUTS[name](world, False) | given


def test_the_tables_name_what_can_be_changed() -> None:
    assert set(FIELDS) == fields_of(reachable(["Mutation"]) - reachable(["Query"]) - {"Mutation"})
    assert set(OUTCOMES) == set(INPUTS) == set(object_type("Mutation").fields)


async def test_a_refusal_leaves_what_others_wrote(worlds: Mapping[str, World]) -> None:
    world = worlds[OPEN]
    ada = await world.sign_in_anew("owner")
    query = """mutation ($role: SetUserRoleInput!, $draft: CreateDesignInput!) {
      before: createDesign(input: $draft) { design { id name } errors { code } }
      refused: setUserRole(input: $role) { errors { code } }
      after: createDesign(input: $draft) { design { id name } errors { code } }
    }"""
    user = encode_id("User", world.users["ada"].id)

    body = await respond(ada, query, role={"id": user, "role": "ADMIN"}, draft={"name": "Kept"})

    assert [(error["path"], error["extensions"]["code"]) for error in body["errors"]] == [(["refused"], "FORBIDDEN")]
    assert body["data"]["refused"] is None
    for name in ("before", "after"):
        assert body["data"][name]["errors"] == []
        assert body["data"][name]["design"]["name"] == "Kept"
    ids = [body["data"][name]["design"]["id"] for name in ("before", "after")]
    found = await respond(ada, "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=ids)
    assert found["data"]["nodes"] == [{"id": id} for id in ids]


async def test_a_refused_query_leaves_the_others(worlds: Mapping[str, World]) -> None:
    body = await respond(worlds[OPEN].viewer("anonymous"), "{ users { totalCount } health { status } }")

    assert body["data"] == {"users": None, "health": {"status": "HEALTHY"}}
    assert [(error["path"], error["extensions"]["code"]) for error in body["errors"]] == [
        (["users"], "UNAUTHENTICATED")
    ]


@pytest.mark.parametrize("wall", [OPEN, WALLED])
async def test_every_mutation_as_everyone(worlds: Mapping[str, World], wall: str) -> None:
    world, seen = worlds[wall], {viewer: record(object_type("Mutation"), None) for viewer in VIEWERS}
    expected: dict[str, Any] = {}
    found: dict[str, Any] = {}
    for name, by_target in OUTCOMES.items():
        for hidden, wanted in zip((False, True), by_target, strict=True):
            expected[f"{name} {hidden}"] = wanted
            build: Callable[[], Awaitable[Input]] = partial(INPUTS[name], world, hidden)
            found[f"{name} {hidden}"] = await outcomes(world, name, build, wanted, seen)
    for name, (given, wanted) in REFUSALS.items():
        expected[f"{name} refused"] = wanted
        build = partial(refusable, name, world, given)
        found[f"{name} refused"] = await outcomes(world, name, build, wanted, seen)

    assert found == expected
    for viewer in VIEWERS:
        with_values = {field for field, values in seen[viewer].items() if any(value is not None for value in values)}
        assert with_values == {field for field, viewers in FIELDS.items() if viewer in viewers}, viewer
