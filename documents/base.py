"""The base of all documents: times, version, and how they are written to MongoDB.

Field names in MongoDB are camelCase, as the original service wrote them; Python names are snake_case through
aliases. Writes are validated; reads for the API use projections and are not validated.
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
    """Now, cut to the milliseconds of BSON, so that a written time is equal when it is read."""
    return truncate(datetime.now(UTC))


def truncate(moment: datetime) -> datetime:
    """The moment without the microseconds that BSON drops."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _as_stored(moment: datetime) -> datetime:
    return truncate(moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC))


Moment = Annotated[datetime, AfterValidator(_as_stored)]
"""A time as BSON stores it: in UTC, in whole milliseconds. Naive times count as UTC."""


def _alias(name: str) -> str:
    return "_id" if name == "id" else to_camel(name)


class Part(BaseModel):
    """An embedded part, in camelCase in MongoDB. Fields that other programs have stored in it stay."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="allow")

    @classmethod
    def keeping(cls, stored: Any, new: Mapping[str, Any]) -> dict[str, Any]:
        """A new part as it is stored, with the unknown fields of the part that it replaces."""
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
    """The stored names of fields that are times."""
    open_parts: ClassVar[frozenset[str]] = frozenset()
    """The stored names of parts. In old documents they may hold anything, also other times."""

    version: int = Field(default=1, ge=1)
    created_at: Moment = Field(default_factory=utc_now)
    updated_at: Moment = Field(default_factory=lambda made: made.get("created_at") or utc_now())
    deleted_at: Moment | None = None

    def to_mongo(self) -> dict[str, Any]:
        """The document as it is stored: camelCase names, without nulls."""
        stored: dict[str, Any] = self.model_dump(by_alias=True, exclude_none=True, exclude={"revision_id"})
        return stored

    def as_new(self) -> dict[str, Any]:
        """A new document as it is stored."""
        return self.to_mongo()

    @classmethod
    def changes(cls, values: Mapping[str, Any], stored: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The validated values to store, by dotted camelCase path (`metadata.tags`); None removes a field.

        `stored` is the document that is changed: objects that are taken over from it needn't be valid.
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
    """The stored names of a part's fields, with their own part, if they are one."""
    return {field.alias or name: part_of(field.annotation) for name, field in part.model_fields.items()}


def part_of(annotation: Any) -> type[Part] | None:
    """The part that a field with this annotation holds, if it does."""
    choices = (annotation, *get_args(annotation))
    return next((each for each in choices if isinstance(each, type) and issubclass(each, Part)), None)


@lru_cache(maxsize=256)
def _adapter(document: type[BaseModel], path: str) -> TypeAdapter[Any]:
    """The validator of the field at a dotted path of stored names."""
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
