"""The domain of search."""

from __future__ import annotations

from typing import Final

from api.fields.domain import Domain
from api.search.queries import SearchQueries

domain: Final = Domain(queries=(SearchQueries,))
