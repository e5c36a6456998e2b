"""An input that works for each mutation of the schema, on an object of its own, and who may send it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from models import new_id
from tests.support.graphql import execute, gid
from tests.support.requests.selections import everything, object_type, type_of
from tests.support.world import DELETED, PASSWORD, World

Input = dict[str, Any]
Build = Callable[[World, bool], Awaitable[Input]]
"""The input, on an object that is hidden from strangers or not."""


def mutation(name: str) -> str:
    """The document of a mutation, with everything that it answers."""
    field = object_type("Mutation").fields[name]
    return f"mutation ($input: {field.args['input'].type}) {{ it: {name}(input: $input) {everything(type_of(field))} }}"


async def _sign_up(world: World, hidden: bool) -> Input:
    return {"email": f"{new_id()}@example.com", "password": PASSWORD, "firstName": "New", "lastName": "Account"}


async def _sign_in(world: World, hidden: bool) -> Input:
    return {"email": world.users["ada"].email, "password": PASSWORD}


async def _refresh_session(world: World, hidden: bool) -> Input:
    signed_in = await execute(world.anonymous, mutation("signIn"), input=await _sign_in(world, hidden))
    return {"refreshToken": signed_in["it"]["refreshToken"]}


async def _sign_out(world: World, hidden: bool) -> Input:
    return {"everywhere": False}


async def _update_profile(world: World, hidden: bool) -> Input:
    return {"firstName": "Ada", "lastName": "Lovelace"}


async def _change_password(world: World, hidden: bool) -> Input:
    return {"currentPassword": PASSWORD, "newPassword": PASSWORD}


async def _set_user_role(world: World, hidden: bool) -> Input:
    return {"id": gid(await world.user()), "role": "PREMIUM"}


async def _deactivate_user(world: World, hidden: bool) -> Input:
    return {"id": gid(await world.user())}


async def _reactivate_user(world: World, hidden: bool) -> Input:
    return {"id": gid(await world.user(is_active=False))}


async def _delete_user(world: World, hidden: bool) -> Input:
    return {"id": gid(await world.user())}


async def _restore_user(world: World, hidden: bool) -> Input:
    return {"id": gid(await world.user(deleted_at=DELETED))}


async def _create_avatar(world: World, hidden: bool) -> Input:
    """For Ada where it is hidden, else for whoever sends it."""
    measurements = dict.fromkeys(("height", "weight", "chest", "waist", "hips", "shoulderWidth"), 100.5)
    urls = {"modelUrl": "https://example.com/a.glb", "thumbnailUrl": "https://example.com/a.png"}
    whose = {"userId": gid(world.users["ada"])} if hidden else {}
    return {"name": "Sitting", "gender": "MALE", "measurements": measurements, "isDefault": False, **urls, **whose}


async def _update_avatar(world: World, hidden: bool) -> Input:
    values = await _create_avatar(world, hidden=False)
    del values["isDefault"]
    avatar = await world.avatar(hidden=hidden)
    return values | {"id": gid(avatar), "expectedUpdatedAt": avatar.updated_at.isoformat()}


async def _set_default_avatar(world: World, hidden: bool) -> Input:
    return {"id": gid(await world.avatar(hidden=hidden))}


async def _delete_avatar(world: World, hidden: bool) -> Input:
    avatar = await world.avatar(hidden=hidden)
    return {"id": gid(avatar), "expectedUpdatedAt": avatar.updated_at.isoformat()}


async def _restore_avatar(world: World, hidden: bool) -> Input:
    return {"id": gid(await world.avatar(hidden=hidden, deleted_at=DELETED))}


async def _create_catalog_item(world: World, hidden: bool) -> Input:
    texts = {"color": "red", "texture": "soft", "material": "silk", "patternType": "dots"}
    properties = {**texts, "tags": ["new"], "sizes": [{"name": "M", "chest": 96.0, "waist": 80.0, "hips": 100.0}]}
    urls = {"assetUrl": "https://example.com/i.glb", "thumbnailUrl": "https://example.com/i.png"}
    flags = {"isPremium": True, "isActive": False}
    described = {"name": "Linen", "description": "Cool", "type": "FABRIC", "category": "TOP", "price": 5}
    return {**described, "properties": properties, **urls, **flags}


async def _update_catalog_item(world: World, hidden: bool) -> Input:
    item = await world.item(hidden=hidden)
    named = {"id": gid(item), "expectedUpdatedAt": item.updated_at.isoformat()}
    return await _create_catalog_item(world, hidden) | named


async def _delete_catalog_item(world: World, hidden: bool) -> Input:
    item = await world.item(hidden=hidden)
    return {"id": gid(item), "expectedUpdatedAt": item.updated_at.isoformat()}


async def _restore_catalog_item(world: World, hidden: bool) -> Input:
    return {"id": gid(await world.item(hidden=hidden, deleted_at=DELETED))}


async def _import_catalog_items(world: World, hidden: bool) -> Input:
    return {"items": [await _create_catalog_item(world, hidden)], "mode": "ATOMIC"}


def _layer(world: World, **values: Any) -> Input:
    return {
        "type": "FABRIC",
        "itemId": gid(world.items["plain"]),
        "position": {"x": 1, "y": 2, "z": 3},
        "rotation": 4,
        "scale": {"x": 1, "y": 2},
        "color": "red",
        "visible": True,
        **values,
    }


def _metadata() -> Input:
    return {
        "tags": ["new"],
        "description": "Light",
        "thumbnailUrl": "https://example.com/d.png",
        "canvasSize": {"width": 10, "height": 20},
    }


async def _create_design(world: World, hidden: bool) -> Input:
    return {"name": "Morning", "layers": [_layer(world, id="first")], "metadata": _metadata()}


async def _update_design(world: World, hidden: bool) -> Input:
    values = await _create_design(world, hidden) | {"avatarId": gid(world.avatars["ada's private"])}
    return values | {"id": gid(await world.design(hidden=hidden)), "expectedVersion": 1}


async def _apply_design_patch(world: World, hidden: bool) -> Input:
    operations: list[Input] = [
        {"add": {"layer": _layer(world, id="new"), "index": 0}},
        {"update": {"layerId": "base", **_layer(world)}},
        {"move": {"layerId": "base", "index": 0}},
        {"reorder": {"layerIds": ["base", "top", "new"]}},
        {"remove": {"layerId": "top"}},
    ]
    return {**await _change_design(world, hidden), "operations": operations, "rebase": False}


async def _change_design(world: World, hidden: bool) -> Input:
    return {"id": gid(await world.design(hidden=hidden)), "expectedVersion": 1}


async def _duplicate_design(world: World, hidden: bool) -> Input:
    return await _change_design(world, hidden) | {"name": "Copy"}


async def _restore_design(world: World, hidden: bool) -> Input:
    return {"id": gid(await world.design(hidden=hidden, deleted_at=DELETED)), "expectedVersion": 1}


async def _restore_design_revision(world: World, hidden: bool) -> Input:
    named = await _change_design(world, hidden)
    await execute(await world.sign_in_anew("owner"), mutation("updateDesign"), input=named | {"name": "Second"})
    return {"id": named["id"], "version": 1, "expectedVersion": 2}


INPUTS: Final[Mapping[str, Build]] = {
    "signUp": _sign_up,
    "signIn": _sign_in,
    "refreshSession": _refresh_session,
    "signOut": _sign_out,
    "updateProfile": _update_profile,
    "changePassword": _change_password,
    "setUserRole": _set_user_role,
    "deactivateUser": _deactivate_user,
    "reactivateUser": _reactivate_user,
    "deleteUser": _delete_user,
    "restoreUser": _restore_user,
    "createAvatar": _create_avatar,
    "updateAvatar": _update_avatar,
    "setDefaultAvatar": _set_default_avatar,
    "deleteAvatar": _delete_avatar,
    "restoreAvatar": _restore_avatar,
    "createCatalogItem": _create_catalog_item,
    "updateCatalogItem": _update_catalog_item,
    "deleteCatalogItem": _delete_catalog_item,
    "restoreCatalogItem": _restore_catalog_item,
    "importCatalogItems": _import_catalog_items,
    "createDesign": _create_design,
    "updateDesign": _update_design,
    "applyDesignPatch": _apply_design_patch,
    "publishDesign": _change_design,
    "archiveDesign": _change_design,
    "returnDesignToDraft": _change_design,
    "duplicateDesign": _duplicate_design,
    "deleteDesign": _change_design,
    "restoreDesign": _restore_design,
    "restoreDesignRevision": _restore_design_revision,
}
