"""A client of `/graphql` for tests, and what its requests cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import structlog
from sqlalchemy import event
from starlette.applications import Starlette

from api.ids import encode_id
from tests.execution.both import aside

LISTS = ("users", "avatars", "catalogItems", "designs")
TYPES = {"users": "User", "avatars": "Avatar", "catalogItems": "CatalogItem", "designs": "Design"}


def page_query(name: str) -> str:
    """A query for a page of a root list, with all of its arguments as variables."""
    return f"""
        query ({page_variables(TYPES[name])}) {{
          {name}({PAGE_ARGUMENTS}) {{ {PAGE} totalCount }}
        }}"""


def page_variables(kind: str) -> str:
    """The variables of `PAGE_ARGUMENTS` for a list of this type."""
    return f"$first: Int, $after: String, $last: Int, $before: String, $filter: {kind}Filter, $orderBy: {kind}Order"


PAGE_ARGUMENTS = "first: $first, after: $after, last: $last, before: $before, filter: $filter, orderBy: $orderBy"
PAGE = "edges { cursor node { id } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }"


async def respond(client: httpx.AsyncClient, query: str, **variables: Any) -> dict[str, Any]:
    """The response's body, data and errors."""
    response = await client.post("/graphql", json={"query": query, "variables": variables})
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


async def execute(client: httpx.AsyncClient, query: str, **variables: Any) -> dict[str, Any]:
    """The data of a query that has no errors."""
    body = await respond(client, query, **variables)
    assert "errors" not in body, body["errors"]
    data: dict[str, Any] = body["data"]
    return data


async def error_of(client: httpx.AsyncClient, query: str, **variables: Any) -> tuple[str, str]:
    """Code and message of the one error of a query; nothing of it may have been logged as our own fault."""
    with structlog.testing.capture_logs() as logs:
        body = await respond(client, query, **variables)
    assert [entry for entry in logs if entry["event"] not in ("request", "security")] == []
    assert len(body["errors"]) == 1, body["errors"]
    (error,) = body["errors"]
    return error["extensions"]["code"], error["message"]


def is_empty(body: Mapping[str, Any]) -> bool:
    """Whether a response has data, of which every root field is null."""
    return set(body["data"].values()) == {None}


def gid(stored: Any) -> str:
    """The global id of an entity."""
    return encode_id(type(stored).__name__, stored.id)


@dataclass
class Sent:
    """What was sent to the stores: SQL statements as text, and the number of MongoDB commands."""

    sql: list[str] = field(default_factory=list)
    mongo: int = 0

    @property
    def counts(self) -> tuple[int, int]:
        """MongoDB commands and SQL statements."""
        return self.mongo, len(self.sql)


@contextmanager
def sent(app: Starlette) -> Iterator[Sent]:
    """What the requests inside the block send. SQL is counted at the engine, MongoDB by the requests' log lines,
    which must agree about SQL."""
    stores, counted = app.state.stores, Sent()
    engine = stores.engine.sync_engine

    def note(statement: str) -> None:
        if not aside.get():
            counted.sql.append(statement)

    def note_of_engine(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        note(statement)

    event.listen(engine, "before_cursor_execute", note_of_engine)
    stores.statements.listeners.append(note)
    try:
        with structlog.testing.capture_logs() as logs:
            yield counted
    finally:
        event.remove(engine, "before_cursor_execute", note_of_engine)
        stores.statements.listeners.remove(note)
    requests = [entry for entry in logs if entry["event"] == "request"]
    assert sum(entry["sql"] for entry in requests) == len(counted.sql)
    counted.mongo = sum(entry["mongo"] for entry in requests)
