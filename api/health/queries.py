from __future__ import annotations

import strawberry

from api.fields.context import Context
from api.health import store
from api.health.types import Health


@strawberry.type
class HealthQueries:
    @strawberry.field(description="Whether the stores answer. A store that does not is part of the answer, no error.")
    async def health(self, info: strawberry.Info[Context, None]) -> Health:
        context = info.context
        return Health.from_check(await store.check(context.stores, timeout=context.settings.health_timeout))
