"""Which revisions of PostgreSQL's schema there are, and whether a database is at the newest.

They are read off the files: to import Alembic takes a tenth of a second and some megabytes, and a process that serves
has no other use for it.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

import asyncpg

from api.errors import StoreUnfit
from models.external_pooler import Connection, ask

_ASSIGNED: Final = re.compile(r'^(revision|down_revision)\b[^=\n]*= *"(\w+)"', re.MULTILINE)
_CURRENT: Final = "SELECT array_agg(version_num::text) AS revisions FROM shared.alembic_version"
_NOT_MIGRATED: Final = "the database is not migrated: run `fashion-wallet migrate run`"


def _versions() -> list[Traversable]:
    """The files of the revisions; what they are part of stands above the stores, so it is found by name."""
    return [path for path in (files("migrations") / "versions").iterdir() if path.name.endswith(".py")]


@cache
def known() -> tuple[frozenset[str], str]:
    """All revisions of this version of the program, and the newest."""
    found: dict[str, set[str]] = {"revision": set(), "down_revision": set()}
    for path in _versions():
        for name, value in _ASSIGNED.findall(path.read_text(encoding="utf-8")):
            found[name].add(value)
    (head,) = found["revision"] - found["down_revision"]
    return frozenset(found["revision"]), head


async def migrated(connection: Connection) -> None:
    """Raise StoreUnfit where the database is not at the newest revision, or past it."""
    revisions, head = known()
    try:
        current: list[str] = (await ask(connection, _CURRENT))["revisions"] or []
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
        current = []
    except asyncpg.InsufficientPrivilegeError:
        return  # it is there, and what this user may read of the rest will show
    if newer := set(current) - revisions:
        reason = (
            f"the database is at revision {', '.join(newer)}, made by a newer version of this program: run that one"
        )
        raise StoreUnfit("PostgreSQL", reason, lasts=False)
    if not current:
        raise StoreUnfit("PostgreSQL", _NOT_MIGRATED, lasts=False)
    if head not in current:
        reason = f"the database is at revision {', '.join(current)}, before {head}: run `fashion-wallet migrate run`"
        raise StoreUnfit("PostgreSQL", reason, lasts=False)
