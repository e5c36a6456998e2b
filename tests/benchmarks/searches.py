"""What searches, suggestions, facets and what is similar take, beside the page of a list.

    python -m tests.benchmarks.searches --rows 100000

Over stores of its own, with so many rows a table and as many designs that search knows. Times are of the CPU, as in
`tests.benchmarks.points`. What is found in MongoDB is not read: only what decides what is found.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Annotated

import typer

from tests.benchmarks import bulk, bulk_search
from tests.benchmarks.points import measure
from tests.support.servers import migrated_stores
from tests.support.stores.plans import Question
from tests.support.stores.search_plans import SEARCHED, questions

PAGE = "{ catalogItems { edges { cursor } } }"
FOUND = "query ($text: String!) { search(query: $text) { edges { score cursor } } }"
COUNT = "query ($text: String!) { search(query: $text) { totalCount } }"


def asked(rows: int) -> Iterator[Question]:
    """The page of a list, the pages of searches, with highlights, and all that is counted or sought beside them."""
    yield Question("a page of items", "brand", PAGE)
    for name, text in SEARCHED.items():
        yield Question(f"search {name}", "brand", FOUND, {"text": text})
    yield Question("search a word of all, count", "brand", COUNT, {"text": SEARCHED["a word of all"]})
    for question in questions(rows):
        if question.viewer == "brand" and (question.counts or not question.name.startswith("search")):
            yield question
    yield next(each for each in questions(rows) if each.name.startswith("search two words") and not each.counts)


def main(rows: Annotated[int, typer.Option(help="Rows in each table, and designs.")] = 100_000) -> None:
    """Print the time of PostgreSQL and of the API."""
    roomy = {"statement_timeout": 120, "execution_timeout": 200, "max_cost": 2**31 - 1, "report_cost": True}
    with migrated_stores(log_level="error", search_indexing=False, **roomy) as settings:
        assert settings.postgres_url is not None
        asyncio.run(bulk.load(settings.postgres_url, rows))
        asyncio.run(bulk_search.load(settings.postgres_url, rows))
        asyncio.run(measure(settings, rows, 0, asked(rows), by="user"))


if __name__ == "__main__":
    typer.run(main)
