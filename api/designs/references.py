"""Checks the references of a design to PostgreSQL: its avatar and the items of its layers.

Only new references are checked. Those that a design has already stay, even where the item is no longer offered or the
avatar is deleted.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from api.error_codes import MutationErrorCode
from api.fields.context import Context
from api.lists.conditions import fields_of, matches
from api.lists.owned_keys import OwnedKey
from api.rights.viewer import may_use_premium
from api.stores.views import read
from api.writing.refusals import ConflictError, MutationError, NotFoundError, Refusal
from documents.cleaning import shown_id
from documents.design import layers_of

Path = tuple[str, ...]
Paths = Mapping[str, Sequence[Path]]
"""The paths in an input at which each item is named."""
LayerPaths = Mapping[Any, Path]
"""The path in an input that says what a layer shows, by the layer's id."""

_OFFERED: Final = frozenset(("is_active", "is_premium", "type"))


def item_paths(layers: Sequence[Any]) -> Paths:
    """The paths at which stored layers name their items."""
    paths: dict[str, list[Path]] = defaultdict(list)
    for index, layer in enumerate(layers):
        if isinstance(layer, dict) and layer.get("itemId") is not None:
            paths[str(layer["itemId"])].append(("layers", str(index), "itemId"))
    return paths


def layer_paths(layers: Sequence[Mapping[str, Any]]) -> LayerPaths:
    """The paths at which an input with all layers says what each of them shows."""
    return {shown_id(layer): ("layers", str(index), "itemId") for index, layer in enumerate(layers)}


async def check(
    context: Context,
    design: Mapping[str, Any],
    values: Mapping[str, Any],
    named: Paths,
    shows: LayerPaths,
    *,
    avatar: bool = True,
) -> None:
    """Raise Refusal, with all errors, unless the values' new references are valid for the stored design.

    `named` has the paths of items in the input; the viewer must be able to find these. `shows` has the paths that say
    what a layer shows; where that is new, the item must be of the layer's type. With `avatar`, the avatar must belong
    to the owner. In a published design, the owner must be allowed to use the items, too.
    """
    status, layers = values.get("status"), values.get("layers", layers_of(design))
    known = item_paths(layers_of(design))
    new = {key: paths for key, paths in named.items() if key not in known}
    shown: Paths = {}
    if status == "published":
        shown = item_paths(layers)
    elif design.get("status") == "published" and "layers" in values:
        shown = {key: paths for key, paths in item_paths(layers).items() if key not in known}
    before = {shown_id(layer): layer for layer in layers_of(design) if isinstance(layer, dict)}
    named_layers = [layer for layer in layers if isinstance(layer, dict) and shown_id(layer) in shows]
    changed = [layer for layer in named_layers if _shows_another(layer, before)]
    errors: list[MutationError] = []
    if not layers and "published" in (status, None if "layers" not in values else design.get("status")):
        errors.append(
            ConflictError(code=MutationErrorCode.EMPTY, message="A published design has layers.", path=["layers"])
        )
    items, wrong_avatar = await asyncio.gather(
        _rows(
            context,
            "catalog_item",
            new.keys() | shown.keys() | {layer["itemId"] for layer in changed},
            _OFFERED | _listed_by(context),
        ),
        _wrong_avatar(context, design, values if avatar else {}),
    )
    missing = {key for key in new if not _is_listed(context, items[key])}
    errors += [*wrong_avatar, *(_not_found("catalog item", path) for key in missing for path in new[key])]
    errors += [
        _mistyped(items[layer["itemId"]].type, layer, shows[shown_id(layer)])
        for layer in changed
        if layer["itemId"] not in missing and _is_of_another_type(items[layer["itemId"]], layer)
    ]
    published = {key: paths for key, paths in shown.items() if key not in missing}
    errors += await _unpublishable(context, owner_of(design), published, items)
    if errors:
        raise Refusal(*errors)


def _shows_another(layer: Mapping[str, Any], before: Mapping[Any, Mapping[str, Any]]) -> bool:
    """Whether the layer shows an item, and is new or has another item or type than it had."""
    old = before.get(shown_id(layer))
    if not isinstance(layer.get("itemId"), str):
        return False
    return old is None or any(old.get(name) != layer.get(name) for name in ("itemId", "type"))


def _is_of_another_type(item: Any, layer: Mapping[str, Any]) -> bool:
    """Whether the item has another type than its layer. An item that no longer exists has none."""
    return item is not None and item.deleted_at is None and item.type != layer.get("type")


def _mistyped(type: str, layer: Mapping[str, Any], path: Path) -> MutationError:
    message = f"The layer is of type {str(layer.get('type')).upper()}, and the item is a {type.upper()}."
    return ConflictError(code=MutationErrorCode.LAYER_TYPE, message=message, path=[*path])


async def _unpublishable(
    context: Context, owner_id: str, shown: Paths, items: Mapping[str, Any]
) -> list[MutationError]:
    """An error for each layer that may not be published."""
    errors: list[MutationError] = []
    premium = any(items[key] is not None and items[key].is_premium for key in shown)
    allowed = premium and may_use_premium(await _role_of(context, owner_id))
    for key, paths in shown.items():
        item = items[key]
        for path in paths:
            if item is None or item.deleted_at is not None:
                errors.append(_not_found("catalog item", path))
            elif not item.is_active:
                message = "This item is no longer offered."
                errors.append(ConflictError(code=MutationErrorCode.ITEM_INACTIVE, message=message, path=[*path]))
            elif item.is_premium and not allowed:
                message = "This item is for premium accounts; the owner of the design has none."
                errors.append(ConflictError(code=MutationErrorCode.PREMIUM_REQUIRED, message=message, path=[*path]))
    return errors


async def _wrong_avatar(context: Context, design: Mapping[str, Any], values: Mapping[str, Any]) -> list[MutationError]:
    """An error where the new avatar doesn't belong to the design's owner."""
    key = values.get("avatarId")
    if key is None or key == design.get("avatarId"):
        return []
    if context.stores.distribution.is_distributed:
        key = OwnedKey.of(key, owner_of(design))
    row = (await _rows(context, "avatar", (key,), frozenset(("user_id",))))[key]
    if row is not None and row.deleted_at is None and str(row.user_id) == owner_of(design):
        return []
    return [_not_found("avatar", ("avatarId",))]


def owner_of(design: Mapping[str, Any]) -> str:
    """The owner's id in a stored design. There may be no such account."""
    return str(design.get("userId"))


async def owner_is_deleted(context: Context, owner_id: str) -> bool:
    """Whether the owner's account is soft-deleted, so that it must be restored before the design."""
    if str(context.viewer.id) == owner_id:
        return False
    row = (await _rows(context, "user", (owner_id,), frozenset(("role",))))[owner_id]
    return row is not None and row.deleted_at is not None


async def _role_of(context: Context, user_id: str) -> str | None:
    """The role of an account; None where it no longer exists."""
    if str(context.viewer.id) == user_id:
        return context.viewer.role
    row = (await _rows(context, "user", (user_id,), frozenset(("role",))))[user_id]
    return None if row is None or row.deleted_at is not None else str(row.role)


async def _rows(context: Context, loader: str, keys: Iterable[str], columns: frozenset[str]) -> Mapping[str, Any]:
    """The rows as they are now, deleted ones included; None for missing ones. One statement."""
    wanted, rows = list(keys), context.loader(loader)
    for key in wanted:
        rows.clear(key)  # an earlier mutation of the same request may have changed it
    found = await asyncio.gather(*(rows.load(key, columns) for key in wanted))
    return dict(zip(wanted, found, strict=True))


def _listed_by(context: Context) -> frozenset[str]:
    return fields_of(context.policy("CatalogItem").scope(context.viewer))


def _is_listed(context: Context, row: Any) -> bool:
    scope = context.policy("CatalogItem").scope(context.viewer)
    return row is not None and matches(scope, partial(read, row))


def _not_found(what: str, path: Path) -> NotFoundError:
    return NotFoundError(code=MutationErrorCode.NOT_FOUND, message=f"There is no such {what}.", path=[*path])
