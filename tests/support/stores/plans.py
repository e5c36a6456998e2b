"""Every list that the API can be asked for, and how PostgreSQL carries out what it then sends.

Plans come from the server itself, by `auto_explain`: of the statements that were really sent, with the rows that were
really read.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import asyncpg
import httpx
import orjson
from sqlalchemy import event
from starlette.applications import Starlette

from api.ids import encode_id
from tests.benchmarks import bulk, bulk_search
from tests.support.graphql import execute

BIG: Final = frozenset(name.partition(".")[2] for name in (*bulk.TABLES, *bulk_search.TABLES))
SIZE: Final = 20
"""Objects a page, and owners of nested pages."""

OrderFields = Mapping[str, str]
"""The column by the name of an order."""

ORDERS: Final[Mapping[str, OrderFields]] = {
    "users": {"CREATED_AT": "created_at", "UPDATED_AT": "updated_at", "NAME": "last_name", "EMAIL": "email"},
    "avatars": {"CREATED_AT": "created_at", "UPDATED_AT": "updated_at", "NAME": "name"},
    "catalogItems": {"CREATED_AT": "created_at", "UPDATED_AT": "updated_at", "NAME": "name", "PRICE": "price"},
}
TABLES: Final = {"users": "shared.users", "avatars": "avatar.avatars", "catalogItems": "catalog.catalog_items"}
FILTERS: Final = {"users": "UserFilter", "avatars": "AvatarFilter", "catalogItems": "CatalogItemFilter"}
VIEWERS: Final[Mapping[str, tuple[str, ...]]] = {
    "users": ("admin",),
    "avatars": ("user", "admin"),
    "catalogItems": ("anonymous", "brand", "admin"),
}


def filters(rows: int) -> Mapping[str, Mapping[str, dict[str, Any]]]:
    """What each list is usually filtered by, by a name for it."""
    heavy, light = (encode_id("User", bulk.key("user", number, rows)) for number in (0, rows // 2))
    brand = encode_id("User", bulk.key("user", 1, rows))
    late = {"createdAt": {"gte": "2025-12-20T00:00:00Z"}}
    return {
        "users": {
            "role": {"role": "BRAND"},
            "frequent role": {"role": "USER"},
            "inactive": {"isActive": False},
            "name contains": {"lastName": {"contains": "korbul"}},
            "name starts": {"lastName": {"startsWith": "Korbul"}},
            "name": {"lastName": {"equals": "Korbulbe"}},
            "email": {"email": {"equals": "user77@example.com"}},
            "email contains": {"email": {"contains": "77777@example"}},
            "creator": {"createdBy": heavy},
            "late": late,
            "deleted": {"deleted": True},
        },
        "avatars": {
            "owner of many": {"owner": heavy},
            "owner of few": {"owner": light},
            "owner": {"owner": [heavy, light]},
            "gender": {"gender": "UNISEX"},
            "default": {"isDefault": True},
            "name contains": {"name": {"contains": "zoe 77"}},
            "late": late,
            "deleted": {"deleted": True},
        },
        "catalogItems": {
            "type": {"type": "FABRIC"},
            "type and category": {"type": "FABRIC", "category": "DRESS"},
            "category": {"category": "OUTERWEAR"},
            "two categories": {"category": ["OUTERWEAR", "ACCESSORY"]},
            "no category": {"hasCategory": False},
            "any category": {"hasCategory": True},
            "color": {"color": {"equals": "kor"}},
            "two colors": {"color": {"in": ["kor", "nothing"]}},
            "color contains": {"color": {"contains": "kor"}},
            "color starts": {"color": {"startsWith": "ko"}},
            "any color": {"hasColor": True},
            "no color": {"hasColor": False},
            "material": {"material": {"equals": "Zoe"}},
            "color and material": {"color": {"equals": "kor"}, "material": {"equals": "Zoe"}},
            "texture": {"texture": {"equals": "soft"}},
            "no texture": {"hasTexture": False},
            "any texture": {"hasTexture": True},
            "pattern": {"patternType": {"in": ["checks", "stripes"]}},
            "pattern contains": {"patternType": {"contains": "check"}},
            "no thumbnail": {"hasThumbnail": False},
            "any thumbnail": {"hasThumbnail": True},
            "price": {"price": {"gte": 49000}},
            "premium": {"isPremium": True},
            "rare tag": {"tags": {"any": ["tag 199"]}},
            "frequent tag": {"tags": {"all": ["tag 0"]}},
            "both tags": {"tags": {"all": ["tag 3", "tag 167"]}},
            "no tag": {"tags": {"any": ["nothing"]}},
            "name contains": {"name": {"contains": "korbul"}},
            "creator": {"createdBy": brand},
            "late": late,
            "deleted": {"deleted": True},
        },
    }


EMPTY: Final = frozenset(
    (
        "owner of few",
        "no tag",
        "no color",
        "color and material",
        "texture",
        "any texture",
        "pattern",
        "pattern contains",
    )
)
"""Filters that nothing may pass."""


@dataclass(frozen=True)
class Question:
    """One operation that sends one statement about a big table."""

    name: str
    viewer: str
    query: str
    variables: dict[str, Any] = field(default_factory=dict)
    counts: bool = False


def questions(rows: int, positions: Mapping[tuple[str, str], tuple[Any, Any]], *, every: bool) -> Iterator[Question]:
    """All of them; without `every`, filters only in the default order and each order only without a filter.

    `positions` are the value and the id in the middle of each list, by table and column.
    """
    for name, fields in ORDERS.items():
        for viewer in VIEWERS[name]:
            for filter_name, chosen in {"": {}, **filters(rows)[name]}.items():
                if ("deleted" in chosen and viewer not in ("brand", "admin")) or (
                    "owner" in chosen and viewer != "admin"
                ):
                    continue
                for order in fields:
                    if filter_name and order != "CREATED_AT" and not every:
                        continue
                    where = positions[name, fields[order]]
                    yield from _pages(name, viewer, filter_name, chosen, order, where, empty=filter_name in EMPTY)
                label = f"{name} {filter_name}".strip()
                count = f"query ($filter: {FILTERS[name]}) {{ {name}(filter: $filter) {{ totalCount }} }}"
                yield Question(f"{label}, count, {viewer}", viewer, count, {"filter": chosen}, counts=True)
    yield from _nested()
    yield from _audit_log(rows)


def _pages(
    name: str,
    viewer: str,
    filter_name: str,
    chosen: dict[str, Any],
    order: str,
    position: tuple[Any, Any],
    *,
    empty: bool,
) -> Iterator[Question]:
    kind = FILTERS[name].removesuffix("Filter")
    query = (
        f"query ($first: Int, $after: String, $last: Int, $before: String, $filter: {kind}Filter, "
        f"$orderBy: {kind}Order) {{ {name}(first: $first, after: $after, last: $last, before: $before, "
        "filter: $filter, orderBy: $orderBy) { edges { cursor } } }"
    )
    for direction in ("ASC", "DESC"):
        for place in ("first", "after", "last", "before"):
            if filter_name and (direction == "ASC" or place == "last"):
                continue
            if empty and place != "first":  # a list without rows has no cursors
                continue
            variables: dict[str, Any] = {
                "filter": chosen,
                "orderBy": {"field": order, "direction": direction},
                "first" if place in ("first", "after") else "last": SIZE,
            }
            if place in ("after", "before"):
                variables[place] = position
            label = " ".join((name, filter_name, order, direction, place)).replace("  ", " ")
            yield Question(f"{label}, {viewer}", viewer, query, variables)


def _nested() -> Iterator[Question]:
    for order in ORDERS["avatars"]:
        for direction in ("ASC", "DESC"):
            nested = f"avatars(first: 5, orderBy: {{field: {order}, direction: {direction}}}) {{ nodes {{ id }} }}"
            query = f"{{ users(first: {SIZE}, orderBy: {{field: CREATED_AT}}) {{ nodes {{ {nested} }} }} }}"
            yield Question(f"avatars of users {order} {direction}, admin", "admin", query)
    oldest = f"{{ users(first: {SIZE}, orderBy: {{field: CREATED_AT}}) {{ nodes {{ %s }} }} }}"
    yield Question("default avatars, admin", "admin", oldest % "defaultAvatar { id }")
    yield Question("avatars of users, count, admin", "admin", oldest % "avatars { totalCount }", counts=True)


def _audit_log(rows: int) -> Iterator[Question]:
    query = "query ($filter: AuditLogFilter) {{ auditLog({}, filter: $filter) {{ edges {{ cursor }} }} }}"
    chosen: Mapping[str, dict[str, Any]] = {
        "": {},
        "kind": {"kind": "USER"},
        "record": {"record": encode_id("Avatar", bulk.key("avatar", 7, rows))},
        "actor of much": {"actor": encode_id("User", bulk.key("user", 0, rows))},
        "actor of little": {"actor": encode_id("User", bulk.key("user", rows // 2, rows))},
        "operation": {"operation": "INSERT"},
        "request": {"requestId": "request-77"},
        "late": {"at": {"gte": "2025-12-20T00:00:00Z"}},
    }
    for name, given in chosen.items():
        for page in (f"first: {SIZE}", f"last: {SIZE}"):
            label = " ".join(("auditLog", name, page.partition(":")[0])).replace("  ", " ")
            yield Question(f"{label}, admin", "admin", query.format(page), {"filter": given})


@dataclass(frozen=True)
class Carried:
    """How one statement was carried out: the rows it read of big tables, how many of them were wanted, and its worst
    parts. `sorted_rows` is the largest input of a sort.
    """

    statement: str
    read: float
    wanted: float
    sorted_rows: float
    scanned: frozenset[str]
    indexes: frozenset[str]


def carried(explained: dict[str, Any]) -> Carried:
    """A plan of auto_explain in short."""
    read, wanted, sorted_rows = 0.0, 0.0, 0.0
    scanned, indexes = set(), set()
    for node in _nodes(explained["Plan"]):
        loops = node["Actual Loops"]
        removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
        if "Index Name" in node:
            indexes.add(node["Index Name"])
        if node.get("Relation Name") in BIG or node["Node Type"] == "Bitmap Index Scan":
            read += (node["Actual Rows"] + removed) * loops
            if "Relation Name" in node:
                wanted += node["Actual Rows"] * loops
            if node["Node Type"] == "Seq Scan":
                scanned.add(node["Relation Name"])
        if node["Node Type"] == "Sort":
            sorted_rows = max(sorted_rows, *(child["Actual Rows"] * loops for child in node["Plans"]))
    return Carried(explained["Query Text"], read, wanted, sorted_rows, frozenset(scanned), frozenset(indexes))


ENOUGH: Final = 5_000
"""Rows that a page may read, whatever the size of the table: of a filter that lets few pass, 20 take thousands."""
SORTED: Final = 5 * SIZE
"""Rows that a page may sort: what a filter leaves that lets few pass."""
MANY: Final = 0.05
"""The share of a table that is counted faster by reading all of it than by an index."""

EXCEPTIONS: Final[Mapping[str, str]] = {
    r"catalogItems (both tags|no tag) .*": "PostgreSQL has no statistics of what is inside JSONB, and takes it that "
    "1% of the items have the tags; where fewer do, it looks for them from the newest item on until the end",
    r"avatars (UPDATED_AT|NAME) .*, user": "all avatars of one user are read and sorted: few, but for bulk data",
    r"avatars owner CREATED_AT .*": "as above, of two users",
    r"avatars of users (UPDATED_AT|NAME) .*": "as above, of 20 users",
}
"""Which questions cost more, and why: whole names, as regular expressions."""

SOMETIMES: Final[Mapping[str, str]] = {
    r"catalogItems color and material CREATED_AT .*": "PostgreSQL may read all keys of both values in their indexes, "
    "which is quicker than to look for both from the newest item on",
    r"avatars name contains CREATED_AT .*": "by its sample of the table, PostgreSQL may take it that more avatars have "
    "the name than do, and look for them in the index of the order instead of that of trigrams",
}
"""Which may cost more, as chance has it."""


def exception(question: Question) -> str | None:
    """The name in EXCEPTIONS or SOMETIMES of the exception that a question is."""
    return next((pattern for pattern in (*EXCEPTIONS, *SOMETIMES) if re.fullmatch(pattern, question.name)), None)


def complaint(question: Question, plan: Carried, rows: int) -> str | None:
    """What is wrong with a plan. Counts may read what they count; of a large part of a table, all of it."""
    if question.counts:
        if plan.scanned and plan.wanted < MANY * rows:
            return f"scans {', '.join(plan.scanned)} to count {plan.wanted:.0f}"
        return None
    if plan.scanned:
        return f"scans {', '.join(plan.scanned)}"
    if plan.read > ENOUGH:
        return f"reads {plan.read:.0f} rows"
    return f"sorts {plan.sorted_rows:.0f} rows" if plan.sorted_rows > SORTED else None


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


SETTINGS: Final = {
    "session_preload_libraries": "auto_explain",
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_analyze": "on",
    "auto_explain.log_timing": "off",
    "auto_explain.log_format": "json",
    "auto_explain.log_level": "notice",
}


async def sample_everything(database_url: str, rows: int) -> None:
    """From now on, statistics of this database's tables are made of all rows, and so are the same every time.

    A sample of some rows now and then has a rare name in it, which PostgreSQL then takes to be frequent.
    """
    connection = await asyncpg.connect(database_url)
    database = await connection.fetchval("SELECT current_database()")
    # for autovacuum as well; 300 rows are read for each of the target's values
    await connection.execute(f"ALTER DATABASE {database} SET default_statistics_target = {rows // 300 + 1}")
    await connection.close()


async def explain_everything(database_url: str) -> None:
    """From now on, new sessions of this database tell their client how each statement was carried out."""
    connection = await asyncpg.connect(database_url)
    database = await connection.fetchval("SELECT current_database()")
    for name, value in SETTINGS.items():
        await connection.execute(f"ALTER DATABASE {database} SET {name} = '{value}'")
    await connection.close()


class Plans:
    """Collects what the connections of an application tell."""

    def __init__(self) -> None:
        self.found: list[Carried] = []
        self._fingerprints: dict[bytes, str | None] = {}

    async def listen(self, app: Starlette) -> None:
        """From now on; connections that it had already are replaced."""
        engine = app.state.stores.engine
        event.listen(engine.sync_engine, "connect", self._connected)
        await engine.dispose()

    def _connected(self, connection: Any, _record: Any) -> None:
        connection.driver_connection.add_log_listener(self._told)

    def _told(self, _connection: Any, message: Any) -> None:
        _, found, plan = message.message.partition("plan:\n")
        if found:
            self.found.append(carried(orjson.loads(plan)))

    async def of(self, client: httpx.AsyncClient, question: Question) -> list[Carried]:
        """How the statements of a question were carried out that read big tables."""
        variables = dict(question.variables)
        for place in ("after", "before"):
            if place in variables:
                cursor = await self._cursor(client, question, variables, *variables.pop(place))
                if cursor is None:
                    return []
                variables[place] = cursor
        self.found.clear()
        await execute(client, question.query, **variables)
        return [plan for plan in self.found if plan.read]

    async def _cursor(
        self, client: httpx.AsyncClient, question: Question, variables: dict[str, Any], value: Any, key: Any
    ) -> str | None:
        """A cursor of this list, moved to a position that the first page doesn't have; None for a list without rows."""
        first = {"filter": variables["filter"], "orderBy": variables["orderBy"], "first": 1}
        asked = orjson.dumps([question.viewer, question.query, first])
        if asked not in self._fingerprints:
            data = await execute(client, question.query, **first)
            (edges,) = (connection["edges"] for connection in data.values())
            self._fingerprints[asked] = _fingerprint(edges[0]["cursor"]) if edges else None
        fingerprint = self._fingerprints[asked]
        if fingerprint is None:
            return None
        moved = [fingerprint, value.isoformat() if hasattr(value, "isoformat") else value, str(key)]
        return base64.urlsafe_b64encode(orjson.dumps(moved)).decode()


def _fingerprint(cursor: str) -> str:
    """What a cursor says of the list that it is of."""
    fingerprint: str = orjson.loads(base64.urlsafe_b64decode(cursor))[0]
    return fingerprint


async def middle_positions(database_url: str) -> dict[tuple[str, str], tuple[Any, Any]]:
    """The value and the id in the middle of each list, by its name and column."""
    connection = await asyncpg.connect(database_url)
    positions = {}
    for name, fields in ORDERS.items():
        for column in fields.values():
            row = await connection.fetchrow(
                f"SELECT {column}, id FROM {TABLES[name]} WHERE deleted_at IS NULL AND {column} IS NOT NULL "
                f"ORDER BY {column}, id OFFSET (SELECT count(*) / 2 FROM {TABLES[name]}) LIMIT 1"
            )
            assert row is not None
            positions[name, column] = (row[0], row[1])
    await connection.close()
    return positions
