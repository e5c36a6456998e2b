"""The domain of health."""

from __future__ import annotations

from typing import Final

from api.fields.costs import Cost
from api.fields.domain import Domain
from api.health.queries import HealthQueries

domain: Final = Domain(queries=(HealthQueries,), costs={"Query.health": Cost(2)})
