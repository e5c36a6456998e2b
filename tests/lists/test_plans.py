"""How PostgreSQL carries out every list at 100,000 rows a table: by an index, reading no more for more rows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from api.config.settings import Settings
from api.http.application import create_app
from migrations.runner import upgrade
from tests.benchmarks.plans import clients
from tests.execution.both import Both
from tests.support.servers import POSTGRES_BIN
from tests.support.stores import plans, search_plans
from tests.support.stores.databases import fresh_database
from tests.support.stores.large import fill, large_server

pytestmark = pytest.mark.anyio

ROWS = 100_000
SOUGHT = "what is sought"


@pytest.fixture(scope="module")
def large(
    request: pytest.FixtureRequest, settings: Settings, mongodb_url: str, postgres_url: str
) -> Iterator[Settings]:
    """Settings of a database of its own, which has that many rows in each table."""
    with ExitStack() as stack:
        fresh = stack.enter_context(fresh_database(postgres_url, mongodb_url))
        own = settings.model_copy(
            update={"database_url": fresh.database_url, "mongodb_database": fresh.mongodb_database}
        )
        if request.config.getoption("--postgres") == "embedded":
            own = stack.enter_context(large_server(own, ROWS, POSTGRES_BIN))
            assert own.postgres_url is not None
        else:
            upgrade(own)
            assert own.postgres_url is not None
            asyncio.run(fill(own.postgres_url, ROWS))
        asyncio.run(plans.explain_everything(own.postgres_url))
        yield own


@pytest.fixture(scope="module")
async def carried(
    large: Settings, both_executors: Both, anyio_backend: str
) -> AsyncIterator[dict[str, list[tuple[plans.Question, Any]]]]:
    """Every question with the plans of what it sent, by the list that it is about."""
    both_executors.comparing = False  # what is asked here is what is sent, once
    assert large.postgres_url is not None
    positions = await plans.middle_positions(large.postgres_url)
    app, told = create_app(large), plans.Plans()
    found: dict[str, list[tuple[plans.Question, Any]]] = {}
    async with app.router.lifespan_context(app):
        await told.listen(app)
        asking = await clients(app, large, ROWS)
        for question in plans.questions(ROWS, positions, every=False):
            listed = await told.of(asking[question.viewer], question)
            found.setdefault(question.name.replace(",", " ").split()[0], []).append((question, listed))
        for question in search_plans.questions(ROWS):
            listed = await told.of(asking[question.viewer], question)
            found.setdefault(SOUGHT, []).append((question, listed))
        yield found


@pytest.mark.parametrize(("name", "least"), [("users", 50), ("avatars", 60), ("catalogItems", 250), ("auditLog", 10)])
async def test_no_list_reads_more_for_a_larger_table(
    carried: dict[str, list[tuple[plans.Question, Any]]], name: str, least: int
) -> None:
    answered = [(question, plan) for question, listed in carried[name] for plan in listed]

    assert len(answered) >= least  # the plans did reach us
    complaints = {
        question.name: complaint
        for question, plan in answered
        if (complaint := plans.complaint(question, plan, ROWS)) and not plans.exception(question)
    }
    assert complaints == {}


async def test_every_exception_is_still_one(carried: dict[str, list[tuple[plans.Question, Any]]]) -> None:
    needed = {
        plans.exception(question)
        for about, found in carried.items()
        if about != SOUGHT
        for question, listed in found
        if any(plans.complaint(question, plan, ROWS) for plan in listed)
    }

    assert needed - {None, *plans.SOMETIMES} == set(plans.EXCEPTIONS)


async def test_what_is_sought_reads_no_more_in_a_larger_table(
    carried: dict[str, list[tuple[plans.Question, Any]]],
) -> None:
    """Searches, suggestions, what is similar and what fits."""
    answered = [(question, plan) for question, listed in carried[SOUGHT] if not question.counts for plan in listed]

    assert len(answered) >= 80  # the plans did reach us
    complaints = {question.name: found for question, plan in answered if (found := search_plans.complaint(plan))}
    assert complaints == {}


async def test_a_scan_is_noticed() -> None:
    plan = {"Node Type": "Seq Scan", "Relation Name": "users", "Actual Loops": 1, "Actual Rows": 3.0}
    sort = {
        "Node Type": "Sort",
        "Actual Loops": 1,
        "Actual Rows": 3.0,
        "Plans": [{**plan, "Rows Removed by Filter": 9}],
    }

    carried = plans.carried({"Query Text": "SELECT", "Plan": sort})

    assert carried == plans.Carried("SELECT", 12, 3, 3, frozenset({"users"}), frozenset())
    assert plans.complaint(plans.Question("users", "admin", ""), carried, 12) == "scans users"
