"""Importing many catalog items at once."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator
from typing import Final

from api.catalog import store
from api.catalog.inputs import ImportCatalogItemsInput, ImportMode
from api.catalog.payloads import ImportCatalogItemsPayload, ImportResult
from api.catalog.types import CatalogItem
from api.catalog.validation import NewCatalogItem
from api.error_codes import MutationErrorCode
from api.fields.context import Context
from api.writing.inputs import given, validated
from api.writing.refusals import InvalidInput, MutationError, Refusal, invalid
from api.writing.write_block import write_block

MAX_ITEMS: Final = 500


async def import_items(context: Context, input: ImportCatalogItemsInput) -> ImportCatalogItemsPayload:
    """Write all valid items in one statement. In mode ATOMIC, nothing is written unless all are valid.

    Raises Unauthenticated, Forbidden, and Refusal for too many items.
    """
    actor = context.viewer.require("brand")
    if len(input.items) > MAX_ITEMS:
        raise invalid(f"An import takes at most {MAX_ITEMS} items; this one has {len(input.items)}.", "items")
    await asyncio.sleep(0)  # reading a large input takes long, so other requests get a turn before it is validated
    results = [ImportResult(index=index) for index in range(len(input.items))]
    valid: dict[int, NewCatalogItem] = {}
    for index, item in enumerate(input.items):
        try:
            valid[index] = validated(NewCatalogItem, given(item))
        except Refusal as refusal:
            results[index].errors = list(_inside(refusal.errors, index))
    wrong = len(results) - len(valid)
    if wrong and input.mode is ImportMode.ATOMIC:
        message = f"{wrong} of {len(results)} items are not what they should be: nothing was written."
        return ImportCatalogItemsPayload(
            results=results, errors=[InvalidInput(code=MutationErrorCode.INVALID, message=message, path=["items"])]
        )
    if valid:
        rows = [item.model_dump() | {"created_by": actor, "updated_by": actor} for item in valid.values()]
        async with write_block(context) as transaction:
            written = await store.add(transaction, rows)
        for index, row in zip(valid, written, strict=True):
            results[index].item = CatalogItem.of(row)
    return ImportCatalogItemsPayload(results=results, imported=len(valid))


def _inside(errors: list[MutationError], index: int) -> Iterator[MutationError]:
    """The errors of an item, with their path in the whole input."""
    for error in errors:
        yield dataclasses.replace(error, path=["items", str(index), *(error.path or ())])
