"""The payloads of the mutations of designs."""

from __future__ import annotations

import strawberry

from api.designs.types import Design
from api.writing.refusals import MutationError


@strawberry.type(description="The design has changed since the client saw it. Nothing was changed by this mutation.")
class VersionConflict(MutationError):
    current: Design | None = strawberry.field(default=None, description="The design as it is now.")
    layer_ids: list[strawberry.ID] = strawberry.field(
        default_factory=list,
        description="The layers that a rebase was refused for, since others have changed them, too; else empty.",
    )


@strawberry.type
class _Changed:
    design: Design | None = strawberry.field(default=None, description="The design after the change.")
    errors: list[MutationError] = strawberry.field(
        default_factory=list, description="Why nothing changed; empty where it did."
    )


@strawberry.type(description="A new design.")
class CreateDesignPayload(_Changed):
    pass


@strawberry.type(description="The design with its changes.")
class UpdateDesignPayload(_Changed):
    pass


@strawberry.type(description="The design with its patched layers.")
class ApplyDesignPatchPayload(_Changed):
    pass


@strawberry.type(description="The design, for everyone to see.")
class PublishDesignPayload(_Changed):
    pass


@strawberry.type(description="The design, put away.")
class ArchiveDesignPayload(_Changed):
    pass


@strawberry.type(description="The design, a draft again.")
class ReturnDesignToDraftPayload(_Changed):
    pass


@strawberry.type(description="The copy of a design.")
class DuplicateDesignPayload(_Changed):
    pass


@strawberry.type(description="The design as it was deleted.")
class DeleteDesignPayload(_Changed):
    pass


@strawberry.type(description="The design that is back.")
class RestoreDesignPayload(_Changed):
    pass


@strawberry.type(description="The design with what it was in an earlier version.")
class RestoreDesignRevisionPayload(_Changed):
    pass
