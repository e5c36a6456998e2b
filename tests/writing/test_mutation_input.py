"""What is wrong with an input is told and changes nothing: every field of the input of every mutation.

The fields are the schema's, so one that is new is tried too; where what comes of it is not the rule, it belongs into
EXCEPTIONS.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx
import pytest
import structlog
from bson import ObjectId
from graphql import GraphQLEnumType, GraphQLInputObjectType, GraphQLList, GraphQLNonNull, Undefined, get_nullable_type

from api.config.settings import Settings
from api.ids import encode_id
from models import new_id
from tests.support.graphql import execute, gid
from tests.support.mutations.inputs import INPUTS, Input, mutation
from tests.support.requests.selections import object_type
from tests.support.stores.digest import digest
from tests.support.world import PASSWORD, World

pytestmark = pytest.mark.anyio

Path = tuple[str | int, ...]
REFUSED: Final = "BAD_VARIABLES"
"""By GraphQL itself, before anything runs."""
DONE: Final = "ok"
ABSENT: Final = object()


@dataclass(frozen=True)
class Case:
    """An input with one thing wrong, and what comes of it: REFUSED, DONE, or `CODE@path` of each error."""

    path: Path
    label: str
    value: Any
    expected: str

    @property
    def place(self) -> str:
        return ".".join(map(str, self.path))


def actor_of(name: str) -> str:
    """Who may send the mutation."""
    if "CatalogItem" in name:
        return "maker"
    return "admin" if name.endswith("User") or name in ("setUserRole", "createAvatar") else "owner"


async def valid_input(name: str, world: World) -> Input:
    """An input that works, with as many fields as may be given together."""
    values = await INPUTS[name](world, False)
    match name:
        case "updateProfile":
            owner = await world.sign_in_anew("owner")
            now = (await execute(owner, "{ viewer { updatedAt email } }"))["viewer"]
            # in another spelling: the one that is there is no change, and needs no password
            more = {"email": now["email"].swapcase(), "currentPassword": PASSWORD}
            return values | more | {"expectedUpdatedAt": now["updatedAt"]}
        case "createAvatar":
            return values | {"userId": gid(world.users["ada"])}
        case "createDesign":
            return values | {"avatarId": gid(world.avatars["ada's private"])}
        case _:
            return values


def wrong_types(kind: Any) -> list[Any]:
    """Values that GraphQL doesn't take for this type."""
    if isinstance(kind, GraphQLInputObjectType):
        return ["text", 5, [[]], {"unknownField": 1}]
    if isinstance(kind, GraphQLList):
        return [{"unknownField": 1}, [None]]
    if isinstance(kind, GraphQLEnumType):
        return ["NONSENSE", kind.values and next(iter(kind.values)).lower(), 5, {}]
    return {
        "String": [5, True, {}, ["a", "b"]],
        "ID": [1.5, True, {}],
        "Int": ["5", 1.5, 2**31, -(2**31) - 1, True],
        "Float": ["1", True, {}],
        "Boolean": ["true", 1, {}],
        "DateTime": [
            *("yesterday", "2026-02-30T00:00:00Z", "2026-01-01T00:00:00", "0001-01-01T00:00:00+14:00", 5, {}),
        ],
    }[kind.name]


TARGETS: Final[Mapping[str, str]] = {"userId": "User", "avatarId": "Avatar", "itemId": "CatalogItem"}


def target_of(name: str, path: Path) -> str | None:
    """The type of the object that an ID names; None where it names a layer."""
    if path == ("id",):
        return next(kind for kind in ("Avatar", "CatalogItem", "Design", "User") if kind in name)
    return TARGETS.get(str(path[-1]))


def absent(kind: str) -> str:
    """The id of an object that never was."""
    return encode_id(kind, ObjectId() if kind == "Design" else new_id())


def cases_of(name: str, kind: GraphQLInputObjectType, values: Input, world: World, path: Path = ()) -> Iterator[Case]:
    """What can be wrong with each field of an input, and with the fields of its parts."""
    for field, definition in kind.fields.items():
        here = (*path, field)
        if kind.is_one_of:
            if field in values:
                yield from cases_of_value(name, definition.type, values[field], world, here)
            continue
        required = isinstance(definition.type, GraphQLNonNull)
        if required:
            yield Case(here, "null", None, REFUSED)
            if field in values and definition.default_value is Undefined:
                yield Case(here, "missing", ABSENT, REFUSED)
        else:
            yield Case(here, "null", None, DONE)
        yield from cases_of_value(name, definition.type, values.get(field), world, here)


def cases_of_value(name: str, of: Any, value: Any, world: World, path: Path) -> Iterator[Case]:
    """What can be wrong with a value of this type."""
    kind, place = get_nullable_type(of), ".".join(map(str, path))
    for wrong in wrong_types(kind):
        yield Case(path, f"not a {kind}: {wrong}", wrong, REFUSED)
    if isinstance(kind, GraphQLInputObjectType):
        assert value is not None, f"{name} needs a valid {place}"
        yield from cases_of(name, kind, value, world, path)
    elif isinstance(kind, GraphQLList):
        assert value, f"{name} needs a valid {place}"
        one = (
            {name: part for name, part in value[0].items() if name != "id"} if isinstance(value[0], dict) else value[0]
        )
        yield Case(path, "oversized", [one] * 1001, f"INVALID@{place}")
        yield Case(path, "empty", [], DONE)
        for index, item in enumerate(value):
            yield from cases_of_value(name, kind.of_type, item, world, (*path, index))
    elif not isinstance(kind, GraphQLEnumType):
        for label, wrong in wrong_values(name, kind.name, world, path).items():
            yield Case(path, label, wrong, f"{CODES.get(label, 'INVALID')}@{place}")


CODES: Final[Mapping[str, str]] = {
    "absent": "NOT_FOUND",
    "foreign": "NOT_FOUND",
    "deleted": "NOT_FOUND",
    "stale version": "VERSION_CONFLICT",
    "stale time": "STALE",
}


def wrong_values(name: str, kind: str, world: World, path: Path) -> dict[str, Any]:
    """Values of the right type that are refused all the same."""
    target = target_of(name, path) if kind == "ID" else None
    match kind:
        case "String":
            texts = {"oversized": "x" * 100_001, "null character": "a\0b", "blank": " "}
            scripts = {"script": "javascript:alert(1)", "no host": "https://"} if str(path[-1]).endswith("Url") else {}
            return texts | scripts
        case "ID" if target is None:
            return {"oversized": "x" * 100_001, "null character": "a\0b", "empty": ""} | (
                {"absent": "nowhere"} if path[-1] == "layerId" else {}
            )
        case "ID":
            assert target is not None
            other = "User" if target == "Design" else "Design"
            others = {} if target == "User" else {"foreign": foreign(target, world)}  # admins may name every user
            if name.startswith("restore") and name != "restoreDesignRevision":
                gone = {"live": live(target, world)}
            else:
                gone = {"deleted": deleted(target, world)}
            return {
                "malformed": "nonsense",
                "oversized": "x" * 100_001,
                "empty": "",
                "null character": "a\0b",
                "another type": absent(other),
                "absent": absent(target),
                **others,
                **gone,
            }
        case "Int":
            return {"negative": -1} | ({"stale version": 99} if path[-1] == "expectedVersion" else {})
        case "DateTime":
            return {"stale time": "2020-01-01T00:00:00Z"} if path[-1] == "expectedUpdatedAt" else {}
        case _:
            return {}


def foreign(target: str, world: World) -> str:
    return {
        "Avatar": gid(world.avatars["ben's worn"]),
        "CatalogItem": gid(world.items["dora's inactive"]),
        "Design": gid(world.designs["ben's draft"]),
    }[target]


def live(target: str, world: World) -> str:
    return {
        "User": gid(world.users["ben"]),
        "Avatar": gid(world.avatars["ada's worn"]),
        "CatalogItem": gid(world.items["plain"]),
        "Design": gid(world.designs["ada's draft"]),
    }[target]


def deleted(target: str, world: World) -> str:
    return {
        "User": gid(world.users["gone"]),
        "Avatar": gid(world.avatars["ada's deleted"]),
        "CatalogItem": gid(world.items["deleted"]),
        "Design": gid(world.designs["ada's deleted"]),
    }[target]


def with_value(values: Input, path: Path, value: Any) -> Input:
    """The input with another value at this place."""
    changed = copy.deepcopy(values)
    inside: Any = changed
    for step in path[:-1]:
        inside = inside[step]
    if value is ABSENT:
        del inside[path[-1]]
    else:
        inside[path[-1]] = value
    return changed


async def outcome(client: httpx.AsyncClient, name: str, values: Any) -> str:
    """REFUSED or another code of a top-level error, DONE, or `CODE@path` of each error in the payload."""
    response = await client.post("/graphql", json={"query": mutation(name), "variables": {"input": values}})
    assert response.status_code == 200, response.text
    body = response.json()
    if "errors" in body:
        assert body.get("data") in (None, {"it": None})
        return " ".join(sorted({error["extensions"]["code"] for error in body["errors"]}))
    payload = body["data"]["it"]
    of_parts = [error for result in payload.get("results") or () for error in result["errors"]]
    assert not of_parts or payload["errors"]
    errors = of_parts or payload["errors"]
    return " ".join(f"{error['code']}@{'.'.join(error['path'] or ())}" for error in errors) or DONE


def exceptions(expected: str, *cases: str) -> dict[str, str]:
    return dict.fromkeys(cases, expected)


ANY_TEXT: Final = ("oversized", "null character", "blank")
# by mutation, place and label; without a mutation, of all
EXCEPTIONS: Final[Mapping[str, str]] = {
    # what is no password, email or token is as wrong as another one
    **exceptions(
        "INVALID_CREDENTIALS@", *(f"signIn {field}: {label}" for field in ("email", "password") for label in ANY_TEXT)
    ),
    **exceptions("INVALID_CREDENTIALS@currentPassword", *(f"currentPassword: {label}" for label in ANY_TEXT)),
    **exceptions("INVALID_REFRESH_TOKEN@refreshToken", *(f"refreshToken: {label}" for label in ANY_TEXT)),
    # stored versions may be odd, and whatever is shown is accepted
    "expectedVersion: negative": "VERSION_CONFLICT@expectedVersion",
    # texts that may be blank
    **exceptions(
        DONE,
        *("description: blank", "items.0.description: blank", "metadata.description: blank", "layers.0.color: blank"),
        *("operations.0.add.layer.color: blank", "operations.1.update.color: blank"),
    ),
    # may be left out, but not be null
    **{f"updateAvatar {field}: null": f"INVALID@{field}" for field in ("name", "gender")},
    **{
        f"updateCatalogItem {field}: null": f"INVALID@{field}"
        for field in ("name", "type", "isPremium", "isActive", "price")
    },
    **{f"updateDesign {field}: null": f"INVALID@{field}" for field in ("name", "layers", "metadata", "metadata.tags")},
    **{
        f"applyDesignPatch operations.1.update.{field}: null": f"INVALID@operations.1.update.{field}"
        for field in ("type", "position", "visible")
    },
    "updateProfile email: null": "INVALID@email",
    # what goes with another part of the input
    "updateProfile currentPassword: null": "INVALID@currentPassword",
    "updateDesign layers: empty": "EMPTY@layers",  # it is published
    "applyDesignPatch operations: empty": "INVALID@operations",
    "applyDesignPatch operations.0.add.layer.id: null": "INVALID@operations.3.reorder.layerIds",
    "applyDesignPatch operations.3.reorder.layerIds: empty": "INVALID@operations.3.reorder.layerIds",
    # what lives can't be restored
    "restoreAvatar id: live": "NOT_FOUND@id",
    "restoreCatalogItem id: live": "NOT_FOUND@id",
    "restoreDesign id: live": "NOT_DELETED@id",
    "restoreUser id: live": "NOT_DELETED@id",
}


@pytest.fixture(scope="module")
def world_settings(settings: Settings) -> Settings:
    """The mutations' own limits are tried."""
    roomy = {"max_list_items": 2000, "max_input_objects": 10_000, "max_variable_values": 100_000}
    return settings.model_copy(update=roomy)


def test_every_mutation_is_tried() -> None:
    assert set(INPUTS) == set(object_type("Mutation").fields)


async def cases(name: str, world: World) -> tuple[Input, list[Case]]:
    """A valid input, and the cases of everything that can be wrong with it."""
    values = await valid_input(name, world)
    kind = get_nullable_type(object_type("Mutation").fields[name].args["input"].type)
    assert isinstance(kind, GraphQLInputObjectType)
    found = []
    for case in cases_of(name, kind, values, world):
        exception = EXCEPTIONS.get(f"{name} {case.place}: {case.label}", EXCEPTIONS.get(f"{case.place}: {case.label}"))
        found.append(case if exception is None else dataclasses.replace(case, expected=exception))
    return values, found


@pytest.mark.parametrize("name", INPUTS)
async def test_what_is_wrong_with_an_input_is_told_and_changes_nothing(world: World, name: str) -> None:
    client, (values, tried) = await world.sign_in_anew(actor_of(name)), await cases(name, world)
    before = await digest(world.stores)

    wrong = {}
    with structlog.testing.capture_logs() as logs:
        for case in tried:
            if case.expected != DONE:
                found = await outcome(client, name, with_value(values, case.path, case.value))
                if found != case.expected:
                    wrong[case.place, case.label] = (found, case.expected)
        nothings: list[Any] = [None, [], "text", 5, {"unknownField": 1}]
        for nothing in nothings:
            assert await outcome(client, name, nothing) == REFUSED

    assert wrong == {}
    assert await digest(world.stores) == before
    assert {entry["event"] for entry in logs} <= {"request", "security"}


@pytest.mark.parametrize("name", INPUTS)
async def test_what_may_be_null_or_empty_is_taken(world: World, name: str) -> None:
    _, tried = await cases(name, world)
    wrong = {}
    for case in tried:
        if case.expected == DONE:
            client, values = await world.sign_in_anew(actor_of(name)), await valid_input(name, world)
            found = await outcome(client, name, with_value(values, case.path, case.value))
            if found != DONE:
                wrong[case.place, case.label] = found
    assert wrong == {}
