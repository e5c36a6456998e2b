"""What the tests of designs' mutations share: calling one, and reading what is stored."""

from __future__ import annotations

from typing import Any

import httpx
from bson import ObjectId

from api.stores.stores import Stores
from documents import Design
from documents.revision import KEPT_VERSIONS
from tests.support.factories.designs import designs
from tests.support.graphql import gid, is_empty, respond
from tests.support.mutations.objects import Mutations

DESIGN = (
    "id name status version layers { layerId type color catalogItem { id } position { x y z } visible } avatar { id }"
)


MUTATIONS = Mutations(
    "design",
    f"{DESIGN} metadata {{ tags description thumbnailUrl canvasSize {{ width height }} }}",
    "__typename code message path ... on VersionConflict { current { version name } layerIds }",
)
query, mutate, changed = MUTATIONS.document, MUTATIONS.payload, MUTATIONS.changed


async def problems(client: httpx.AsyncClient, name: str, /, **values: Any) -> list[tuple[str, str | None]]:
    """Code and dotted path of each error of a mutation that is refused."""
    payload = await mutate(client, name, **values)
    assert payload["design"] is None
    return [(error["code"], error["path"] and ".".join(error["path"])) for error in payload["errors"]]


async def denied(client: httpx.AsyncClient, name: str, /, **values: Any) -> str:
    """The code of the one top-level error of a mutation."""
    body = await respond(client, query(name), input=values)
    [error] = body["errors"]
    assert is_empty(body)
    code: str = error["extensions"]["code"]
    return code


async def stored(stores: Stores, design: Design) -> dict[str, Any] | None:
    """The document as it is stored now."""
    return await designs(stores).collection.find_one({"_id": design.id})


def key(design: Design) -> ObjectId:
    assert design.id is not None
    return design.id


async def revisions(stores: Stores, design: Design) -> list[dict[str, Any]]:
    """The stored revisions of a design, the oldest first."""
    kept = {"designId": design.id, **KEPT_VERSIONS}
    return await stores.database.design_revisions.find(kept).sort("version").to_list()


def seen(design: Design, **values: Any) -> dict[str, Any]:
    """The input that names a design, with its version."""
    return {"id": gid(design), "expectedVersion": design.version, **values}
