"""The root field `suggest`."""

from __future__ import annotations

from typing import Annotated, Final

import strawberry

from api.errors import BadUserInput
from api.fields.context import Context
from api.lists.pagination import MAX_SIZE
from api.search.store import SEARCHED
from api.search.suggestions import read_prefix, suggested

DEFAULT_SIZE: Final = 10


@strawberry.type(description="What somebody may be about to type.")
class Suggestion:
    text: str = strawberry.field(description="A name, color, material or tag, in the way in which most write it.")
    count: int = strawberry.field(
        description="How many of the items and designs that the viewer may find have it, as far as was looked."
    )


@strawberry.type
class SuggestionQueries:
    @strawberry.field(
        description="Completions of what somebody types: names, colors, materials and tags of catalog items, and names "
        "and tags of designs, as far as the viewer may find these; the most used first. Case and accents don't matter."
    )
    async def suggest(
        self,
        info: strawberry.Info[Context],
        prefix: Annotated[str, strawberry.argument(description="What has been typed, at most 100 characters.")],
        first: Annotated[
            int | None,
            strawberry.argument(description=f"How many, at most {MAX_SIZE}; {DEFAULT_SIZE} where it is not given."),
        ] = None,
    ) -> list[Suggestion] | None:
        context, size = info.context, DEFAULT_SIZE if first is None else first
        if not 0 <= size <= MAX_SIZE:
            raise BadUserInput(f"first must lie between 0 and {MAX_SIZE}.")
        scopes = [(name, context.policy(name).scope(context.viewer)) for name in SEARCHED]
        found = await suggested(context.stores, read_prefix(prefix), size, scopes)
        return [Suggestion(text=each.text, count=each.uses) for each in found]
