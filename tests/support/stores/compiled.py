"""Statements that are compiled once for all applications of a test process, as `serve` compiles them once.

SQLAlchemy keeps them with the engine and by its dialect, of which every application has its own: each test compiled
all of its statements anew, which took a seventh of its time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.engine import Engine
from sqlalchemy.util import LRUCache

STATEMENTS: Final = 2000
"""How many are kept; the suite has more of them than an application."""


@contextlib.contextmanager
def compiled_once() -> Iterator[None]:
    """Let all engines that are made inside the block share what they have compiled."""
    shared: LRUCache[Any, Any] = LRUCache(STATEMENTS)
    # they differ in nothing that SQL is made of: `postgres_engine` makes all of them
    dialect: Any = PGDialect_asyncpg
    own = dialect.__hash__, dialect.__eq__
    dialect.__hash__, dialect.__eq__ = lambda one: hash(type(one)), lambda one, other: type(one) is type(other)
    engine: Any = Engine
    engine._compiled_cache = property(lambda _: shared, lambda _, own: None)
    yield
    del engine._compiled_cache
    dialect.__hash__, dialect.__eq__ = own
