"""Resolvers of values that the object itself holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from graphql import Undefined

from api.fields.resolvers.base import Values, WithoutArguments, each
from api.fields.selection import ResolveInfo
from api.ids import encode_ids
from api.rights.policies import Guard
from api.stores.views import read, read_all


@dataclass(frozen=True, slots=True)
class GlobalId(WithoutArguments):
    """The global id of the object itself."""

    def load(self, sources: Sequence[Any], info: ResolveInfo, arguments: None) -> Values:
        return encode_ids(info.parent_type.name, read_all(sources, "id"))


@dataclass(frozen=True, slots=True)
class Stored(WithoutArguments):
    """A stored value that older documents may lack; `default` is shown in its place.

    `DeclaredField` fills in the `name` of the field. A value that doesn't `fit` becomes undefined, which no type can
    show: it is treated as an odd value.
    """

    default: Any
    name: str = ""
    fits: Callable[[Any], bool] | None = None

    def read(self, source: Any) -> Any:
        """The value of one source."""
        value = read(source, self.name)
        if value is None:
            return self.default
        return value if self.fits is None or self.fits(value) else Undefined

    def load(self, sources: Sequence[Any], info: ResolveInfo, arguments: None) -> Values:
        return each(sources, self.read)


@dataclass(frozen=True, slots=True)
class Guarded(WithoutArguments):
    """A stored value that not everyone may see."""

    name: str
    guard: Guard

    def load(self, sources: Sequence[Any], info: ResolveInfo, arguments: None) -> Values:
        viewer, allows = info.context.viewer, self.guard.allows
        return each(sources, lambda source: read(source, self.name) if allows(viewer, source) else None)
