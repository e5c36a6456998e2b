"""Loading single objects by key, as far as the viewer may see them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, cast

from graphql import get_named_type

from api.fields.schema_types import class_of
from api.fields.selection import ResolveInfo, columns_of
from api.lists.conditions import And, fields_of, matches
from api.lists.owned_keys import OwnedKey
from api.rights.policies import LIVE, PUBLISHED
from api.stores.views import View, read

if TYPE_CHECKING:
    from api.fields.context import Context

LIVE_FIELDS = fields_of(LIVE)


async def load_view(
    loader: str,
    key: Any,
    info: ResolveInfo,
    *,
    type_name: str | None = None,
    found: bool = False,
) -> View | None:
    """The object with this key; None where it is deleted or doesn't exist.

    An object to which a visible one refers may be shown; one that is `found` by its id must be visible by itself.
    `type_name` names the object where the field returns an interface.
    """
    name = type_name or get_named_type(info.return_type).name
    stored = await load_stored(loader, key, info, name, found=found)
    return None if stored is None else view_class(info, name).of(stored)


async def load_stored(loader: str, key: Any, info: ResolveInfo, name: str, *, found: bool) -> Any:
    """The stored object, with the columns that the field selects of this type."""
    context: Context = info.context
    scope = context.policy(name).scope(context.viewer) if found else LIVE
    if found and context.stores.distribution.is_distributed:
        key = _probably_own(context, name, key)
    stored = await context.loader(loader).load(key, columns_of(info, name) | fields_of(scope))
    if stored is None:
        return None
    visible = is_live(stored) if scope is LIVE else matches(scope, partial(read, stored))
    if not visible and found:
        visible = await _is_shown(name, stored, context)
    return stored if visible else None


def _probably_own(context: Context, type_name: str, key: Any) -> Any:
    """The key of an object that is probably the viewer's own; others' objects are found as well, by a second statement.

    Admins mostly look for what is others'.
    """
    viewer = context.viewer
    if viewer.id is None or viewer.is_admin or not context.domains.objects[type_name].by_owner:
        return key
    return OwnedKey.of(key, viewer.id)


def is_live(stored: Any) -> bool:
    """Whether a stored object, read with `LIVE_FIELDS`, isn't deleted."""
    return read(stored, "deleted_at") is None


async def _is_shown(type_name: str, stored: Any, context: Context) -> bool:
    """Whether everyone may see a live object, since a published design refers to it."""
    by = context.policy(type_name).shown_by
    if by is None or not is_live(stored):
        return False
    question = (by, read(stored, "id"), And((LIVE, PUBLISHED)))
    return bool(await context.loader("designs_count").load(question))


def view_class(info: ResolveInfo, type_name: str) -> type[View]:
    """The Python class behind an object type of the schema."""
    return cast("type[View]", class_of(info.schema.get_type(type_name)))
