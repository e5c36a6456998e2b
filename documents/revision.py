"""Collection `design_revisions`: what a design was, one document a version that it has left behind."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from bson import ObjectId
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from documents.design import Layer, Metadata, Status, UuidString


class Revision(BaseModel):
    """A design as it was at `version`. Who made that version and when goes with it."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, arbitrary_types_allowed=True)

    design_id: ObjectId
    version: int = Field(ge=1)
    name: str
    status: Status
    layers: list[Layer]
    metadata: Metadata
    avatar_id: UuidString | None = None
    actor_id: UuidString | None = None
    request_id: str | None = None
    at: datetime

    def to_mongo(self) -> dict[str, Any]:
        """As it is stored: camelCase names, absent where null."""
        return self.model_dump(by_alias=True, exclude_none=True)
