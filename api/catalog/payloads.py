"""The payloads of the mutations of the catalog."""

from __future__ import annotations

import strawberry

from api.catalog.types import CatalogItem
from api.writing.refusals import MutationError


@strawberry.type
class _Changed:
    catalog_item: CatalogItem | None = strawberry.field(
        default=None, description="The item after the change; with the error STALE, the item as it is."
    )
    errors: list[MutationError] = strawberry.field(
        default_factory=list, description="Why nothing changed; empty where it did."
    )


@strawberry.type(description="A new catalog item.")
class CreateCatalogItemPayload(_Changed):
    pass


@strawberry.type(description="The catalog item with its changes.")
class UpdateCatalogItemPayload(_Changed):
    pass


@strawberry.type(description="The catalog item that is deleted now.")
class DeleteCatalogItemPayload(_Changed):
    pass


@strawberry.type(description="The catalog item that is back.")
class RestoreCatalogItemPayload(_Changed):
    pass


@strawberry.type(description="What became of one item of an import.")
class ImportResult:
    index: int = strawberry.field(description="Its place in the input, from 0.")
    item: CatalogItem | None = strawberry.field(default=None, description="The new item; null where it wasn't written.")
    errors: list[MutationError] = strawberry.field(
        default_factory=list,
        description="What is wrong with it, with paths such as `items`, `3`, `name`. Empty for an item that is as it "
        "should be, written or not.",
    )


@strawberry.type(description="What became of the items of an import.")
class ImportCatalogItemsPayload:
    results: list[ImportResult] = strawberry.field(
        default_factory=list, description="One for each item of the input, in its order."
    )
    imported: int = strawberry.field(default=0, description="How many items were written.")
    errors: list[MutationError] = strawberry.field(
        default_factory=list,
        description="Why nothing was written. Empty where the import was done; with BEST_EFFORT, `results` say for "
        "which items.",
    )
