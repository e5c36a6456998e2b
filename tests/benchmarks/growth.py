"""What a request costs as pages, depth and tables grow: linear in what is returned, flat in the size of the tables.

    python -m tests.benchmarks.growth

Prints CPU milliseconds of the server's process and statements a request. By page size and by depth over the replaying
proxy, by table size without any designs. What a table's size costs PostgreSQL itself is what the plans tell.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any

import orjson
import typer
import uvloop

from tests.benchmarks import load
from tests.benchmarks.bench import Bench, Process, bench

PAGES = (1, 2, 5, 10, 20, 50, 100)
DEPTHS = (1, 2, 3, 4, 5)

ITEMS = "{ catalogItems(first: %d) { nodes { id name type category price properties { color tags } } } }"
BOARD = (
    "{ designs(first: %d) { nodes { id name layers { type position { x y } catalogItem { name } } owner { firstName } "
    "avatar { name } } } }"
)
NESTS = ("avatars(first: 2) { nodes { id owner { id %s } } }", "designs(first: 2) { nodes { id owner { id %s } } }")


@dataclass(frozen=True)
class Cost:
    """Of one request. `statements` are SQL, `commands` MongoDB's, `size` is the answer's, in bytes."""

    cpu: float
    statements: int
    commands: int
    size: int


def nested(depth: int) -> str:
    """So many connections inside each other, each of whose objects leads to the next by its owner."""
    inner = ""
    for level in range(depth - 1):
        inner = NESTS[level % len(NESTS)] % inner
    return f"{{ users(first: 5, orderBy: {{field: CREATED_AT}}) {{ nodes {{ id {inner} }} }} }}"


async def cost(bench: Bench, server: Process, query: str, seconds: float) -> Cost:
    request = load.post(server.url, orjson.dumps({"query": query}), bench.token)
    await load.run(server.url, [request], count=1)
    log = bench.folder / "api.log"
    seen = log.stat().st_size
    first = await load.run(server.url, [request], count=1, connections=1)
    assert first.statuses == {200}, first.answer
    assert b'"errors"' not in first.answer, first.answer
    line = _line(log.read_bytes()[seen:].decode())
    await load.run(server.url, [request], seconds=seconds / 2)
    before = server.cpu()
    outcome = await load.run(server.url, [request], seconds=seconds)
    used = (server.cpu() - before) / outcome.requests * 1000
    return Cost(used, line["sql"], line["mongo"], len(first.answer))


def _line(text: str) -> dict[str, Any]:
    """The log's line of the last request. The text may begin within a line."""
    entries: list[dict[str, Any]] = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return next(entry for entry in reversed(entries) if entry["event"] == "request")


def show(title: str, costs: list[tuple[int, Cost]]) -> None:
    typer.echo(f"\n{title}\n{'':>10} {'CPU ms':>8} {'a unit':>8} {'SQL':>4} {'MongoDB':>8} {'KB':>7}")
    for unit, found in costs:
        each = found.cpu / unit
        typer.echo(
            f"{unit:10,} {found.cpu:8.3f} {each:8.4f} {found.statements:4} {found.commands:8} {found.size / 1000:7.1f}"
        )


async def by_returned(ready: Bench, seconds: float) -> None:
    server = ready.api()
    for title, query in (("items a page", ITEMS), ("designs with everything a page", BOARD)):
        show(title, [(size, await cost(ready, server, query % size, seconds)) for size in PAGES])
    show(
        "connections inside each other",
        [(depth, await cost(ready, server, nested(depth), seconds)) for depth in DEPTHS],
    )


async def by_size(ready: Bench, seconds: float) -> Cost:
    return await cost(ready, ready.api(), ITEMS % 20, seconds)


def main(
    seconds: Annotated[float, typer.Option(help="How long each is loaded.")] = 2.0,
    largest: Annotated[int, typer.Option(help="Rows of the largest tables.")] = 1_000_000,
) -> None:
    """Print the tables."""
    with bench(10_000, 2_000) as ready:
        uvloop.run(by_returned(ready, seconds))
    costs = []
    for rows in (1_000, 10_000, 100_000, 1_000_000):
        if rows <= largest:
            with bench(rows, 100) as ready:
                costs.append((rows, uvloop.run(by_size(ready, seconds))))
    show("rows a table (a page of 20)", costs)


if __name__ == "__main__":
    typer.run(main)
