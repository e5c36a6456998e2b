"""Who may change what: every mutation of the schema, as each kind of viewer; a refused one changes nothing.

A mutation that is new belongs into the table, or the test fails. The API is connected as a role that owns nothing and
has what `migrate grants` prints, so that what it prints is enough for all of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

import httpx
import pytest
from bson import ObjectId

from api.config.settings import Settings
from api.ids import encode_id
from api.stores.stores import Stores
from tests.support.graphql import is_empty, respond
from tests.support.mutations.inputs import INPUTS, Input, mutation
from tests.support.requests.selections import Seen, fields_of, object_type, reachable, record, table, type_of
from tests.support.stores.digest import digest
from tests.support.stores.roles import granted_role, of_role
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

ENDING_SESSIONS: Final = frozenset({"signOut", "changePassword"})
"""Mutations after which a viewer signs in again, as the session has ended, or the others of the account have."""

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


@dataclass(frozen=True)
class Case:
    """A mutation with inputs that `build` makes, each on an object of its own, and what it answers each viewer."""

    name: str
    build: Callable[[], Awaitable[Input]]
    expected: Outcomes

    def refused(self) -> list[str]:
        return [viewer for viewer in VIEWERS if self.expected[viewer] != OK]

    def allowed(self) -> list[str]:
        return [viewer for viewer in VIEWERS if self.expected[viewer] == OK]


def cases(world: World) -> dict[str, Case]:
    found = {}
    for name, by_target in OUTCOMES.items():
        for hidden, wanted in zip((False, True), by_target, strict=True):
            found[f"{name} {hidden}"] = Case(name, partial(INPUTS[name], world, hidden), wanted)
    for name, (given, wanted) in REFUSALS.items():
        found[f"{name} refused"] = Case(name, partial(refusable, name, world, given), wanted)
    return found


async def changes(stores: Stores, act: Callable[[], Awaitable[None]]) -> bool:
    """Whether it changes anything that is stored."""
    before = await digest(stores)
    await act()
    return await digest(stores) != before


async def refusable(name: str, world: World, given: Input) -> Input:
    """A valid input, with what is wrong in it."""
    return await INPUTS[name](world, False) | given


@pytest.fixture(scope="module")
def world_settings(settings: Settings) -> Iterator[Settings]:
    with granted_role(settings) as role:
        yield of_role(settings, role)


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
    clients = {viewer: await world.sign_in_anew(viewer) for viewer in VIEWERS}
    tried = cases(world)
    found: dict[str, dict[str, str]] = {label: {} for label in tried}

    async def send(label: str, viewer: str, values: Input) -> None:
        name = tried[label].name
        found[label][viewer] = await outcome(clients[viewer], name, values, seen[viewer])
        if name in ENDING_SESSIONS and viewer != "anonymous":
            clients[viewer] = await world.sign_in_anew(viewer)

    async def refuse(label: str) -> None:
        for viewer in tried[label].refused():
            await send(label, viewer, inputs[label])

    # those who are to be refused, who must change nothing
    inputs = {label: await case.build() for label, case in tried.items() if case.refused()}
    before = await digest(world.stores)
    for label in inputs:
        await refuse(label)
    if await digest(world.stores) != before:
        assert [label for label in inputs if await changes(world.stores, partial(refuse, label))] == []
        raise AssertionError("something changed that was refused, and not when it was tried again")

    # then the others, each on an object of their own
    for label, case in tried.items():
        for viewer in case.allowed():
            await send(label, viewer, await case.build())

    expected = {label: case.expected for label, case in tried.items()}
    assert found == expected
    for viewer in VIEWERS:
        with_values = {field for field, values in seen[viewer].items() if any(value is not None for value in values)}
        assert with_values == {field for field, viewers in FIELDS.items() if viewer in viewers}, viewer
