"""What was recorded of objects has ids that `node(id)` takes, under the rights of where it is read otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from api.stores.stores import Stores
from tests.support.graphql import execute
from tests.support.mutations.designs import changed
from tests.support.signing_in import as_admin, signed_in

pytestmark = pytest.mark.anyio

REVISION = "id version name status actor { id } layers { layerId }"
ENTRY = "id at kind operation recordId oldValues newValues actorId requestId version"


async def node(client: httpx.AsyncClient, id: str, kind: str, fields: str) -> Any:
    query = f"query ($id: ID!) {{ node(id: $id) {{ __typename ... on {kind} {{ {fields} }} }} }}"
    found = (await execute(client, query, id=id))["node"]
    return found and {name: value for name, value in found.items() if name != "__typename"}


async def history(owner: httpx.AsyncClient) -> Mapping[str, Any]:
    """A design of three versions."""
    layers = [{"id": "a", "type": "FABRIC"}]
    design = await changed(owner, "createDesign", name="One", layers=layers)
    for version, name in ((1, "Two"), (2, "Three")):
        design = await changed(owner, "updateDesign", id=design["id"], expectedVersion=version, name=name)
    query = f"query ($id: ID!) {{ design(id: $id) {{ revisions {{ nodes {{ {REVISION} }} }} }} }}"
    found = await execute(owner, query, id=design["id"])
    return {"id": design["id"], "revisions": found["design"]["revisions"]["nodes"]}


async def test_a_version_is_found_by_its_id(client: httpx.AsyncClient, app: Starlette, stores: Stores) -> None:
    owner, _ = await signed_in(client, stores)
    stranger, _ = await signed_in(client, stores)
    made = await history(owner)

    assert [revision["version"] for revision in made["revisions"]] == [3, 2, 1]
    assert len({revision["id"] for revision in made["revisions"]}) == 3
    for revision in made["revisions"]:
        for viewer in (owner, as_admin(client, app)):
            assert await node(viewer, revision["id"], "DesignRevision", REVISION) == revision
        # of a draft as of a published design
        for viewer in (stranger, client):
            assert await node(viewer, revision["id"], "DesignRevision", REVISION) is None
    await changed(owner, "publishDesign", id=made["id"], expectedVersion=3)
    assert await node(stranger, made["revisions"][0]["id"], "DesignRevision", REVISION) is None
    await changed(owner, "deleteDesign", id=made["id"], expectedVersion=4)
    assert await node(owner, made["revisions"][0]["id"], "DesignRevision", REVISION) is None


async def test_entries_of_the_log_are_found_by_their_ids(
    client: httpx.AsyncClient, app: Starlette, stores: Stores
) -> None:
    owner, _ = await signed_in(client, stores)
    admin = as_admin(client, app)
    await history(owner)
    await execute(owner, 'mutation { updateProfile(input: { firstName: "Grace" }) { errors { code } } }')
    log = (await execute(admin, f"{{ auditLog {{ nodes {{ {ENTRY} }} }} }}"))["auditLog"]["nodes"]

    assert sorted((entry["kind"], entry["operation"], entry["version"]) for entry in log if entry["version"]) == [
        ("DESIGN", "INSERT", 1),
        ("DESIGN", "UPDATE", 2),
        ("DESIGN", "UPDATE", 3),
    ]
    assert {entry["kind"] for entry in log} == {"DESIGN", "USER"}
    for entry in log:
        assert await node(admin, entry["id"], "AuditEntry", ENTRY) == entry
        for viewer in (owner, client):
            assert await node(viewer, entry["id"], "AuditEntry", ENTRY) is None


async def test_ids_of_records_are_no_ids_of_objects(client: httpx.AsyncClient, stores: Stores) -> None:
    owner, _ = await signed_in(client, stores)
    made = await history(owner)
    revision = made["revisions"][1]["id"]

    query = "query ($id: ID!) { design(id: $id) { id } }"
    answer = await owner.post("/graphql", json={"query": query, "variables": {"id": revision}})
    assert [error["extensions"]["code"] for error in answer.json()["errors"]] == ["BAD_ID"]
    nodes = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }"
    found = await execute(owner, nodes, ids=[revision, made["id"]])
    assert found["nodes"] == [{"id": revision}, {"id": made["id"]}]
