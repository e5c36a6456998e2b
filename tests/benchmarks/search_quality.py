"""How well a search finds what somebody means, beside PostgreSQL alone and an engine that is made for it.

    uv run --group benchmarks python -m tests.benchmarks.search_quality

A share of what was typed for which something meant comes first, is among the first ten, and the mean of one by the
place of the first that is meant. Needs codespell for its list of what people mistype, and tantivy.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

import asyncpg
import httpx
import orjson
import typer

from api.config.settings import Settings
from api.http.application import create_app
from tests.benchmarks import known_items, search_engines
from tests.benchmarks.known_items import Known
from tests.benchmarks.search_engines import Engine
from tests.support.servers import migrated_stores

INSERT = """
    INSERT INTO catalog.catalog_items SELECT * FROM jsonb_populate_recordset(NULL::catalog.catalog_items, $1::jsonb)
"""
SMALL_WORDS = """
    SELECT word FROM unnest($1::text[]) AS given (word) WHERE length(to_tsvector('english', word)) = 0
"""


async def place(engine: Engine, known: Known) -> int | None:
    """The place of the first that is meant, from 1; None where it isn't among the first ten."""
    found = await engine(known.typed)
    return next((place for place, id in enumerate(found, 1) if id in known.meant), None)


def figures(places: Sequence[int | None]) -> str:
    found = [each for each in places if each is not None]
    shares = (found.count(1), len(found), sum(1 / each for each in found))
    return " ".join(f"{share / len(places):.3f}" for share in shares)


async def measure(settings: Settings, blocks: int, size: int, missed: bool) -> None:
    assert settings.postgres_url is not None
    rows: list[dict[str, Any]] = known_items.rows(blocks)
    items = known_items.items(rows)
    connection = await asyncpg.connect(settings.postgres_url)
    await connection.execute("SET statement_timeout = 0")
    await connection.execute(INSERT, orjson.dumps([row | {"id": str(row["id"])} for row in rows]).decode())
    await connection.execute("ANALYZE")
    await connection.execute(search_engines.PLAIN)
    words = list({word for item in items for word in known_items.words_of(" ".join(item.fields))})
    catalog = known_items.Catalog(items, {row["word"] for row in await connection.fetch(SMALL_WORDS, words)})
    app = create_app(settings)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1:8000") as client,
    ):
        engines = {
            "API": search_engines.api(client),
            "full text": search_engines.full_text(connection),
            "ILIKE": search_engines.ilike(connection),
            "tantivy": search_engines.fuzzy(items, *search_engines.AS_HERE),
            "tantivy, more edits": search_engines.fuzzy(items, *search_engines.AS_ELASTICSEARCH),
        }
        typer.echo(f"{len(items)} items, {len(catalog.words)} words; first, among ten, mean reciprocal rank")
        typer.echo("| Set | Queries | " + " | ".join(engines) + " |")
        typer.echo("|---|---|" + "---|" * len(engines))
        for name, knowns in catalog.sets(size).items():
            places = {called: [await place(engine, known) for known in knowns] for called, engine in engines.items()}
            typer.echo(f"| {name} | {len(knowns)} | " + " | ".join(map(figures, places.values())) + " |")
            if missed:
                for known, *found in zip(knowns, *places.values(), strict=True):
                    if found[0] is None:
                        typer.echo(f"    missed: {known.typed}  (tantivy: {found[-2:]})")
    await connection.close()


def main(
    blocks: Annotated[int, typer.Option(help="Blocks of the demo data, of 1,500 items each.")] = 7,
    size: Annotated[int, typer.Option(help="Queries of each kind at most.")] = 400,
    missed: Annotated[bool, typer.Option(help="Also print what the API doesn't find.")] = False,
) -> None:
    """Print how well each finds what was meant."""
    with migrated_stores(statement_timeout=120) as settings:
        asyncio.run(measure(settings, blocks, size, missed))


if __name__ == "__main__":
    typer.run(main)
