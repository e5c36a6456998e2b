"""How long a request keeps the event loop to itself: the longest step of any task, in CPU time, for each input.

The application runs in this process, over stores of its own with 10,100 designs, as an admin; no socket, no cache that
knows the document yet.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
from asyncio.events import Handle
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import typer
from bson import ObjectId
from starlette.applications import Starlette

from api.admission.document_cache import documents as known_documents
from api.config.settings import Settings
from api.http.application import create_app
from api.server.garbage_collection import freeze
from api.stores.stores import Stores
from tests.benchmarks import adversaries
from tests.benchmarks.in_process import answer_of
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.users import create_user
from tests.support.servers import migrated_stores
from tests.support.signing_in import access_token, open_session

USERS, DESIGNS, LAYERS = 100, 100, 6
LARGE, MOST_LAYERS = 100, 200
"""Designs as large as they can be: those of one more user, and the newest."""


@contextmanager
def longest_step() -> Iterator[list[float]]:
    """The milliseconds of CPU time that each step of the event loop takes."""
    steps: list[float] = []
    run = Handle._run

    def timed(handle: Handle) -> None:
        began = time.thread_time()
        run(handle)
        steps.append((time.thread_time() - began) * 1000)

    Handle._run = timed  # type: ignore[method-assign, assignment]
    try:
        yield steps
    finally:
        Handle._run = run  # type: ignore[method-assign]


async def answer_to(app: Starlette, body: bytes, token: str) -> dict[str, Any]:
    """How many bytes the answer to a POST has, and its errors. It is a task of its own, as under uvicorn."""
    answer = await asyncio.create_task(answer_of(app, body, token))
    parsed = orjson.loads(answer)
    first = parsed[0] if isinstance(parsed, list) else parsed
    return {"bytes": len(answer), "errors": first.get("errors") or []}


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[tuple[Starlette, str]]:
    """The application with its data, and an admin's token."""
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        stores: Stores = app.state.stores
        admin = await create_user(stores, role="admin")
        item = await create_catalog_item(stores, created_by=admin.id, is_active=True)
        now = datetime.now(UTC)
        layer = {
            **{"id": "1", "type": "fabric", "itemId": str(item.id), "position": {"x": 1.0, "y": 2.0, "z": 3.0}},
            **{"scale": {"x": 1.0, "y": 1.0}, "rotation": 1.5, "color": "#ffffff", "visible": True},
        }
        for count, layers in [(DESIGNS, LAYERS)] * USERS + [(LARGE, MOST_LAYERS)]:
            user = await create_user(stores, created_by=admin.id, updated_by=admin.id)
            at = now if layers == LAYERS else now + timedelta(minutes=1)
            designs = [
                {
                    **{"_id": ObjectId(), "userId": str(user.id), "name": f"Evening {number}", "status": "published"},
                    **{"layers": [layer] * layers, "metadata": {"tags": ["a", "b"], "description": "x" * 100}},
                    **{"catalogItemIds": [str(item.id)], "version": 1, "createdAt": at, "updatedAt": at},
                }
                for number in range(count)
            ]
            await stores.database["designs"].insert_many(designs)
        yield app, access_token(settings, admin.id, await open_session(stores, admin.id))


def inputs(settings: Settings) -> Iterator[adversaries.Input]:
    """The whole corpus, for these limits."""
    yield from adversaries.bodies()
    yield from adversaries.texts(settings.max_document_length)
    yield from adversaries.documents(settings.max_tokens)
    yield from adversaries.variables(settings.max_variable_values, settings.max_list_items)
    yield from adversaries.results()


async def measure(settings: Settings, rounds: int, only: str) -> list[tuple[float, str, str]]:
    """The longest step of each input, the median of the rounds, and what was answered."""
    found = []
    async with serving(settings) as (app, token):
        await answer_to(app, b'{"query":"{viewer{id}}"}', token)
        freeze(settings)
        for name, body in inputs(settings):
            if only not in name:
                continue
            longest = []
            for _ in range(rounds):
                known_documents.clear()
                gc.collect()
                with longest_step() as steps:
                    answered = await answer_to(app, body, token)
                longest.append(max(steps))
            errors = answered["errors"]
            said = f"{len(errors)} errors: {errors[0]['message'][:60]!r}" if errors else "answered"
            row = statistics.median(longest), name, f"{answered['bytes']} bytes, {said}"
            typer.echo(f"{row[0]:8.1f} ms  {row[1]:42} {row[2]}")
            found.append(row)
    return found


def main(rounds: int = 3, allowed: float = 50.0, only: str = "") -> None:
    """Fails where a step took longer than allowed, in ms."""
    with migrated_stores(log_level="error", statement_timeout=60, breaker_patience=30) as settings:
        found = asyncio.run(measure(settings, rounds, only))
    worst = max(found)
    typer.echo(f"the longest of {len(found)} inputs: {worst[0]:.1f} ms, {worst[1]}")
    if worst[0] > allowed:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
