"""Mutations of the catalog, for brands and admins."""

from __future__ import annotations

from typing import Annotated

import strawberry
from sqlalchemy import func

import models
from api.catalog import store
from api.catalog.importing import import_items
from api.catalog.inputs import (
    CreateCatalogItemInput,
    DeleteCatalogItemInput,
    ImportCatalogItemsInput,
    RestoreCatalogItemInput,
    UpdateCatalogItemInput,
)
from api.catalog.payloads import (
    CreateCatalogItemPayload,
    DeleteCatalogItemPayload,
    ImportCatalogItemsPayload,
    RestoreCatalogItemPayload,
    UpdateCatalogItemPayload,
)
from api.catalog.types import CatalogItem
from api.catalog.validation import (
    CatalogItemChanges,
    CatalogItemChoice,
    CatalogItemDeletion,
    NewCatalogItem,
    Properties,
)
from api.fields.context import Context
from api.writing.edits import editable, merging, restore, unchanged, why_not
from api.writing.inputs import given, validated
from api.writing.refusals import not_found, refusable
from api.writing.write_block import write_block


@strawberry.type
class CatalogMutations:
    @strawberry.mutation(description="Offer an item; for brands and admins.")
    @refusable(CreateCatalogItemPayload)
    async def create_catalog_item(
        self,
        info: strawberry.Info[Context],
        input: Annotated[CreateCatalogItemInput, strawberry.argument(description="The new item.")],
    ) -> CreateCatalogItemPayload | None:
        context = info.context
        actor = context.viewer.require("brand")
        values = validated(NewCatalogItem, given(input)).model_dump()
        async with write_block(context) as transaction:
            items = store.repository(context.stores).within(transaction)
            item = await items.create(values | {"created_by": actor, "updated_by": actor})
        context.forget("CatalogItem")
        return CreateCatalogItemPayload(catalog_item=CatalogItem.of(item))

    @strawberry.mutation(description="Change an item; for the brand that created it and admins.")
    @refusable(UpdateCatalogItemPayload)
    async def update_catalog_item(
        self,
        info: strawberry.Info[Context],
        input: Annotated[UpdateCatalogItemInput, strawberry.argument(description="The item and its changes.")],
    ) -> UpdateCatalogItemPayload | None:
        context = info.context
        actor = context.viewer.require("brand")
        changes = validated(CatalogItemChanges, given(input))
        column, items = models.CatalogItem.__table__.c.properties, store.repository(context.stores)
        values = merging(changes.values(), column, Properties, changes.properties)
        where = editable(context, models.CatalogItem) & unchanged(models.CatalogItem, changes.expected_updated_at)
        if values:
            async with write_block(context) as transaction:
                values["updated_by"] = actor
                item = await items.within(transaction).update(changes.id, values, where=where)
        else:
            item = await items.update(changes.id, {}, where=where)
        if item is None:
            raise await why_not(context, items, CatalogItem, changes.id, "catalog item")
        context.forget("CatalogItem")
        return UpdateCatalogItemPayload(catalog_item=CatalogItem.of(item))

    @strawberry.mutation(
        description="Delete an item; for the brand that created it and admins. Designs keep their reference to it, "
        "which reads as null until it is restored. To end only its offer, update `isActive`."
    )
    @refusable(DeleteCatalogItemPayload)
    async def delete_catalog_item(
        self,
        info: strawberry.Info[Context],
        input: Annotated[DeleteCatalogItemInput, strawberry.argument(description="Which item it is.")],
    ) -> DeleteCatalogItemPayload | None:
        context = info.context
        actor = context.viewer.require("brand")
        deletion = validated(CatalogItemDeletion, given(input))
        items = store.repository(context.stores)
        where = editable(context, models.CatalogItem) & unchanged(models.CatalogItem, deletion.expected_updated_at)
        async with write_block(context) as transaction:
            values = {"deleted_at": func.now(), "updated_by": actor}
            item = await items.within(transaction).update(deletion.id, values, where=where)
        if item is None:
            raise await why_not(context, items, CatalogItem, deletion.id, "catalog item")
        context.forget("CatalogItem")
        return DeleteCatalogItemPayload(catalog_item=CatalogItem.of(item))

    @strawberry.mutation(description="Bring a deleted item back; for the brand that created it and admins.")
    @refusable(RestoreCatalogItemPayload)
    async def restore_catalog_item(
        self,
        info: strawberry.Info[Context],
        input: Annotated[RestoreCatalogItemInput, strawberry.argument(description="Which item it is.")],
    ) -> RestoreCatalogItemPayload | None:
        context = info.context
        actor = context.viewer.require("brand")
        key = validated(CatalogItemChoice, given(input)).id
        where = (models.CatalogItem.id == key) & editable(context, models.CatalogItem, deleted=True)
        async with write_block(context) as transaction:
            item = await restore(transaction, models.CatalogItem, where, updated_by=actor)
        if item is None:
            raise not_found("deleted catalog item", "id")
        context.forget("CatalogItem")
        return RestoreCatalogItemPayload(catalog_item=CatalogItem.of(item))

    @strawberry.mutation(description="Offer up to 500 items at once; for brands and admins.")
    @refusable(ImportCatalogItemsPayload)
    async def import_catalog_items(
        self,
        info: strawberry.Info[Context],
        input: Annotated[ImportCatalogItemsInput, strawberry.argument(description="The items and the mode.")],
    ) -> ImportCatalogItemsPayload | None:
        payload = await import_items(info.context, input)
        info.context.forget("CatalogItem")
        return payload
