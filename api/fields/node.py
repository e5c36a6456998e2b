"""The interface `Node`, and the fields that look nodes up."""

from __future__ import annotations

import strawberry

from api.fields.declared import global_id
from api.stores.views import View


@strawberry.interface(description="An object that can be fetched again by its id.")
class Node(View):
    id: strawberry.ID = global_id("Opaque id, unique among all objects.")
