"""How PostgreSQL carries out every list, with every filter in every order, and every search, at any size.

    python -m tests.benchmarks.plans --rows 1000000

The suite does the same at 100,000 rows with each filter in one order. Each question is repeated until the server has
decided whether to plan its statement anew each time or once for all values; what is printed is of the last time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Annotated

import httpx
import typer
from sqlalchemy import update
from starlette.applications import Starlette

from api.config.settings import Settings
from api.http.application import create_app
from models import User
from tests.benchmarks import bulk, bulk_search
from tests.support.servers import migrated_stores
from tests.support.signing_in import access_token, open_session, with_token
from tests.support.stores import plans, search_plans

ACCOUNTS: Mapping[str, int] = {"admin": 0, "brand": 1, "user": 2}
"""Those who ask, by their number in the data: the owners of the most."""
CUSTOM_PLANS = 5
"""Executions of a prepared statement after which PostgreSQL may keep a plan."""

SLOW = 100.0
"""Milliseconds from which on a question is not repeated."""


async def clients(app: Starlette, settings: Settings, rows: int) -> dict[str, httpx.AsyncClient]:
    """A client of every role, of accounts of the data."""
    stores = app.state.stores
    anonymous = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1:8000")
    found = {"anonymous": anonymous}
    for role, number in ACCOUNTS.items():
        id = bulk.key("user", number, rows)
        async with stores.sessions.begin() as session:
            await session.execute(update(User).where(User.id == id).values(role=role, is_active=True, deleted_at=None))
        found[role] = with_token(anonymous, access_token(settings, id, await open_session(stores, id)))
    return found


async def ask(settings: Settings, rows: int, every: bool) -> None:
    assert settings.postgres_url is not None
    loaded = await bulk.load(settings.postgres_url, rows) | await bulk_search.load(settings.postgres_url, rows)
    for step, seconds in loaded.items():
        typer.echo(f"loaded {step} in {seconds:.1f} s")
    positions = await plans.middle_positions(settings.postgres_url)
    await plans.explain_everything(settings.postgres_url)
    app, told = create_app(settings), plans.Plans()
    asked, complaints = 0, 0
    async with app.router.lifespan_context(app):
        await told.listen(app)
        asking = await clients(app, settings, rows)
        for question in plans.questions(rows, positions, every=every):
            repeated = 1 if question.counts else CUSTOM_PLANS + 2
            for _ in range(repeated):
                began = time.perf_counter()
                found = await told.of(asking[question.viewer], question)
                took = (time.perf_counter() - began) * 1000
                if took > SLOW:
                    break
            asked += 1
            for plan in found:
                complaint = plans.complaint(question, plan, rows)
                if question.counts and plan.read >= rows / 2:
                    typer.echo(f"count      {took:7.0f} ms  {question.name}: reads {plan.read:.0f} rows")
                elif complaint:
                    complaints += not plans.exception(question)
                    kind = "exception" if plans.exception(question) else "COMPLAINT"
                    typer.echo(f"{kind}  {took:7.0f} ms  {question.name}: {complaint}")
        for question in search_plans.questions(rows):
            asked += 1
            for _ in range(CUSTOM_PLANS + 2):
                found = await told.of(asking[question.viewer], question)
            for plan in found:
                if not question.counts and (complaint := search_plans.complaint(plan)):
                    complaints += 1
                    typer.echo(f"COMPLAINT  {question.name}: {complaint}")
    typer.echo(f"{asked} questions, {complaints} complaints")


def main(
    rows: Annotated[int, typer.Option(help="Rows in each table.")] = 1_000_000,
    every: Annotated[bool, typer.Option(help="Every filter in every order.")] = True,
) -> None:
    """Print which lists scan a table, read or sort more rows than a page should, and the counts that read most."""
    with migrated_stores(statement_timeout=120) as settings:
        asyncio.run(ask(settings, rows, every))


if __name__ == "__main__":
    typer.run(main)
