"""What every stored document repeats: times, version, and how it is written to MongoDB.

Field names in MongoDB are camelCase, as the original service wrote them; Python names are snake_case through
aliases. This validates what is written; reads that serve the API take projections and are not validated again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, ClassVar, get_args

from beanie import Document
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter
from pydantic.alias_generators import to_camel


def utc_now() -> datetime:
    """Now, cut to the milliseconds that BSON keeps, so that what was written compares equal when read."""
    return truncate(datetime.now(UTC))


def truncate(moment: datetime) -> datetime:
    """The moment without the microseconds that BSON drops."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _as_stored(moment: datetime) -> datetime:
    return truncate(moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC))


Moment = Annotated[datetime, AfterValidator(_as_stored)]
"""A time as BSON keeps it: UTC (which is also what naive times are taken for), whole milliseconds."""


def _alias(name: str) -> str:
    return "_id" if name == "id" else to_camel(name)


class Part(BaseModel):
    """An embedded part: camelCase in MongoDB. What other programs have stored beside its fields stays."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="allow")

    @classmethod
    def keeping(cls, stored: Any, new: Mapping[str, Any]) -> dict[str, Any]:
        """A new part, as it is stored, with what this one doesn't know of the part in whose place it comes."""
        if not isinstance(stored, Mapping):
            return {**new}
        kept = {**{name: value for name, value in stored.items() if name not in _names(cls)}, **new}
        for name, inner in _names(cls).items():
            if inner is not None and isinstance(kept.get(name), Mapping):
                kept[name] = inner.keeping(stored.get(name), kept[name])
        return kept


class Stored(Document):
    """A document of this application. `version` counts its changes, from 1."""

    model_config = ConfigDict(alias_generator=_alias, populate_by_name=True)

    times: ClassVar[frozenset[str]] = frozenset(("createdAt", "updatedAt", "deletedAt"))
    """The stored names of its times."""
    open_parts: ClassVar[frozenset[str]] = frozenset()
    """Those of its parts, which in old documents may hold anything, other times too."""

    version: int = Field(default=1, ge=1)
    created_at: Moment = Field(default_factory=utc_now)
    updated_at: Moment = Field(default_factory=lambda made: made.get("created_at") or utc_now())
    deleted_at: Moment | None = None

    def to_mongo(self) -> dict[str, Any]:
        """As it is stored: camelCase names, absent where null."""
        stored: dict[str, Any] = self.model_dump(by_alias=True, exclude_none=True, exclude={"revision_id"})
        return stored

    def as_new(self) -> dict[str, Any]:
        """As it is stored when it is new."""
        return self.to_mongo()

    @classmethod
    def changes(cls, values: Mapping[str, Any], stored: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Validated values to store, by dotted camelCase path (`metadata.tags`); None for what is to be absent.

        `stored` is the document that they change: what is the same object in both needn't be valid.
        Raises ValueError for a path that the document doesn't have, pydantic's ValidationError (a ValueError) for
        a value that its field doesn't take.
        """
        changed = {}
        for path, value in values.items():
            adapter = _adapter(cls, path)  # type: ignore[arg-type]  # mypy takes instances' __hash__ for the class's
            changed[path] = adapter.dump_python(adapter.validate_python(value), by_alias=True, exclude_none=True)
        return changed


@lru_cache(maxsize=256)
def _names(part: type[Part]) -> Mapping[str, type[Part] | None]:
    """The stored names of a part's fields, each with the part that it is, if it is one."""
    return {field.alias or name: part_of(field.annotation) for name, field in part.model_fields.items()}


def part_of(annotation: Any) -> type[Part] | None:
    """The part that a field of this annotation is, if it is one."""
    choices = (annotation, *get_args(annotation))
    return next((each for each in choices if isinstance(each, type) and issubclass(each, Part)), None)


@lru_cache(maxsize=256)
def _adapter(document: type[BaseModel], path: str) -> TypeAdapter[Any]:
    """What validates the field at a dotted path of stored names."""
    first, _, rest = path.partition(".")
    field = next((field for field in document.model_fields.values() if field.alias == first), None)
    if field is not None and not rest:
        accepted: Any = field.annotation
        return TypeAdapter(Annotated[accepted, *field.metadata] if field.metadata else accepted)
    if field is not None:
        for annotation in (field.annotation, *get_args(field.annotation)):
            if isinstance(annotation, type) and issubclass(annotation, BaseModel):
                return _adapter(annotation, rest)
    raise ValueError(f"{document.__name__} has no field {path!r}")
