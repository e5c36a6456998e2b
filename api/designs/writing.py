"""Changing a design in a mutation: rights, validation, and one atomic change of the version that was read."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final
from weakref import WeakValueDictionary

import strawberry
from bson import ObjectId
from pydantic import ValidationError

from api.designs import owner_deletion, revision_store, store
from api.designs.payloads import VersionConflict
from api.designs.references import owner_of
from api.designs.types import Design
from api.designs.validation import checked
from api.error_codes import MutationErrorCode
from api.errors import BadUserInput
from api.fields.context import Context
from api.ids import decode_id_of
from api.lists.conditions import And, Condition, matches
from api.stores.views import read
from api.uuids import uuid_of
from api.writing.inputs import S, given, refusal_of
from api.writing.refusals import Refusal, conflict, not_editable, not_found
from documents.last_change import version_of

Document = dict[str, Any]
Find = Callable[[Context, ObjectId], Awaitable[Document]]
Change = Callable[[Document], Awaitable[dict[str, Any]]]
"""Gives the values to store, by dotted path, for the stored design; none where it stays as it is."""

_NAMED: Final = 5
"""The most layers that a message names."""
ATTEMPTS: Final = 100
"""How often a change is tried when other writers are faster. With each try, one of the others has finished."""

_TURNS: Final[WeakValueDictionary[ObjectId, asyncio.Lock]] = WeakValueDictionary()
"""A lock for each design, under which writers of this process try again: 50 writers trying at once would need some 1000
tries. It isn't this but the version check that keeps updates from being lost."""


async def opened(
    context: Context, schema: type[S], mutation_input: Any, find: Find | None = None
) -> tuple[Document, S]:
    """The stored design that an input names, and the validated input.

    The viewer must be signed in, and able to edit the design unless `find` says otherwise. Raises
    Unauthenticated and Refusal.
    """
    _ = context.viewer.account_id
    values = given(mutation_input)
    key = _key(values["id"])
    design = await (find or editable)(context, key) if key is not None else None
    change = checked(schema, values)
    assert design is not None, "an id that is no id is not valid"
    return design, change


def author(context: Context) -> dict[str, str]:
    """The author of a change, as it is stored in the design, for revisions and the audit log."""
    return {"updatedBy": str(context.viewer.account_id), "requestId": context.request_id}


async def visible(context: Context, key: ObjectId) -> Document:
    """The live design with this key, if the viewer may see it. Raises Refusal where there is none for them."""
    design = await store.whole(context.stores, key)
    if design is None or not _matches(design, context.policy("Design").scope(context.viewer)):
        raise not_found("design", "id")
    return design


async def editable(context: Context, key: ObjectId) -> Document:
    """The live design with this key, if the viewer may edit it.

    Raises Refusal where there is none that they may edit. The error is the same whether or not they may see it.
    """
    design, policy = await store.whole(context.stores, key), context.policy("Design")
    if design is None or not _matches(design, And((policy.scope(context.viewer), policy.editable(context.viewer)))):
        raise not_editable("design")
    return design


async def deleted(context: Context, key: ObjectId) -> Document:
    """The deleted design with this key, if the viewer may restore it.

    Raises Refusal where it is live or there is none for them.
    """
    design = await store.whole(context.stores, key)
    scope = context.policy("Design").scope(context.viewer, deleted=True)
    if design is None or not _matches(design, scope):
        await editable(context, key)
        raise conflict(MutationErrorCode.NOT_DELETED, "The design is not deleted.", "id")
    return design


def _matches(design: Document, condition: Condition) -> bool:
    return matches(condition, partial(read, design))


async def changed(context: Context, design: Document, change: Change, expected: int | None) -> Document:
    """Change the design, and return its new version.

    While other writers are faster, `change` is called again with the newer design, unless a version is `expected`.
    Raises Refusal with VersionConflict where that is no longer the current version.
    """
    written = await _change_once(context, design, change, expected)
    if written is None:
        async with _TURNS.setdefault(design["_id"], asyncio.Lock()):
            for _ in range(ATTEMPTS):
                design = await editable(context, design["_id"])
                written = await _change_once(context, design, change, expected)
                if written is not None:
                    break
            else:
                raise stale(await editable(context, design["_id"]))
    return written


async def _change_once(context: Context, design: Document, change: Change, expected: int | None) -> Document | None:
    """Change the design; None where another writer was faster."""
    expect(design, expected)
    values = await change(design)
    if not values:
        return design
    actor = author(context)
    with storable():
        written = await revision_store.replace(
            context.stores, design, values | actor, context.settings.design_revisions_kept
        )
    if written is not None:
        context.forget("Design")
    return written


async def marked(
    context: Context, design: Document, expected: int | None, find: Find, *, deleted_at: datetime | None
) -> Document:
    """Delete the design as of a moment, or restore it. Its version stays.

    While other writers are faster, `find` reads it again, and raises where it can't be changed any more.
    """
    for _ in range(ATTEMPTS):
        expect(design, expected)
        if await revision_store.mark(context.stores, [design], author(context), deleted_at, touch=True):
            context.forget("Design")
            return await store.whole(context.stores, design["_id"]) or design
        design = await find(context, design["_id"])
    raise stale(design)


async def beside_deletions(context: Context, design: Document) -> Document:
    """A design that was just created or restored; it is deleted if its owner was deleted meanwhile."""
    owner = uuid_of(owner_of(design))
    taken = owner is not None and await owner_deletion.take_late(context, owner)
    context.forget("Design")
    return (await store.whole(context.stores, design["_id"]) or design) if taken else design


def expect(design: Document, expected: int | None) -> None:
    """Raise Refusal with VersionConflict where the design has another version than the client expects."""
    if expected is not None and version_of(design) != expected:
        raise stale(design)


def stale(current: Document, layer_ids: Sequence[str] = ()) -> Refusal:
    """The refusal of a change to an older version. `layer_ids` are the layers because of which a rebase is refused."""
    message = f"The design has changed; its version is {version_of(current)}."
    if layer_ids:
        named, more = ", ".join(layer_ids[:_NAMED]), len(layer_ids) - _NAMED
        message += f" Others changed the same layers: {named}{f' and {more} more' if more > 0 else ''}."
    return Refusal(
        VersionConflict(
            code=MutationErrorCode.VERSION_CONFLICT,
            message=message,
            path=["expectedVersion"],
            current=Design.of(current),
            layer_ids=[strawberry.ID(id) for id in layer_ids],
        )
    )


@contextlib.contextmanager
def storable() -> Iterator[None]:
    """Turn values that the document refuses into a Refusal: parts stored by an older service may break today's
    rules."""
    try:
        yield
    except ValidationError as error:
        raise refusal_of(error, lambda words: f"What is stored breaks a rule: it {words}.") from None


def _key(global_id: str) -> ObjectId | None:
    try:
        key = decode_id_of("Design", global_id)
    except BadUserInput:
        return None
    assert isinstance(key, ObjectId)
    return key
