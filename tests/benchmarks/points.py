"""What a point of cost is: the time that both stores take over many kinds of operations, by what each has cost.

    python -m tests.benchmarks.points

Over stores of its own, with 121,000 rows a table and 2,000 designs. Times are of the CPU, so that others on the machine
make little difference: of PostgreSQL's processes, of MongoDB's, and of this one, the API without a socket. Another
MongoDB on this machine is measured with `--mongodb-uri` and `--mongodb-pid`.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Protocol

import orjson
import typer
from pydantic import SecretStr
from sqlalchemy import text
from starlette.applications import Starlette

from api.config.settings import Settings
from api.http.application import create_app
from tests.benchmarks import bulk
from tests.benchmarks.in_process import answer_of
from tests.support.servers import migrated_stores
from tests.support.signing_in import access_token, open_session

TICK: Final = 1000 / os.sysconf("SC_CLK_TCK")
LONG: Final = 2.0
"""Seconds for which a question is repeated: the clock of the CPU has ticks of 10 ms."""
LEAST: Final = 2
MOST: Final = 200


@dataclass(frozen=True)
class Question:
    """One operation that is measured."""

    name: str
    query: str
    filter: dict[str, Any] = field(default_factory=dict)

    @property
    def variables(self) -> dict[str, Any]:
        return {"f": self.filter}


class Asked(Protocol):
    """What can be measured."""

    @property
    def name(self) -> str: ...

    @property
    def query(self) -> str: ...

    @property
    def variables(self) -> dict[str, Any]: ...


def cpu_of(pid: int) -> float:
    """Milliseconds of CPU that a process and its children have used, those that have ended included."""
    total = 0.0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            head, _, rest = stat.read_text().rpartition(")")
        except OSError:
            continue  # it has just ended
        values = rest.split()
        if int(head.partition(" ")[0]) == pid:
            total += sum(map(int, values[11:15]))
        elif int(values[1]) == pid:
            total += sum(map(int, values[11:13]))
    return total * TICK


def parent_of(pid: int) -> int:
    """The process that has started this one."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@dataclass(frozen=True)
class Clock:
    """The CPU time of both stores and of this process, in milliseconds."""

    postgres: int
    mongodb: int

    @classmethod
    async def of(cls, app: Starlette, mongodb_pid: int) -> Clock:
        """`mongodb_pid` is 0 where the server tells its own."""
        stores = app.state.stores
        async with stores.engine.connect() as connection:
            backend = await connection.scalar(text("SELECT pg_backend_pid()"))
        status = await stores.mongo.admin.command("serverStatus")
        return cls(parent_of(backend), mongodb_pid or status["pid"])

    def read(self) -> tuple[float, float, float]:
        own = time.process_time() * 1000
        return cpu_of(self.postgres), cpu_of(self.mongodb), own


def _all(conditions: Iterator[dict[str, Any]]) -> dict[str, Any]:
    return {"and": [{"not": condition} for condition in conditions]}


def _words(count: int) -> list[str]:
    return [f"zq{number}" for number in range(count)]


def questions() -> Iterator[Question]:
    """All of them, by names that say what is asked for."""
    yield Question("100 items", "{ catalogItems(first: 100) { nodes { id name price } } }")
    everything = "{ designs { nodes { name owner { id } avatar { id } layers { catalogItem { name } } } } }"
    yield Question("20 designs with owner, avatar and items", everything)
    for name in ("avatars", "designs"):
        few = f"{{ users(first: 50) {{ nodes {{ {name}(first: 2) {{ nodes {{ id }} }} }} }} }}"
        yield Question(f"50 users, 2 {name} of each", few)
        yield Question(f"50 users, their {name} counted", few.replace("(first: 2) { nodes { id } }", " { totalCount }"))
    nested = "query ($f: DesignFilter) { users(first: 50) { nodes { designs(filter: $f) { totalCount } } } }"
    none = _all({"name": {"contains": word}} for word in _words(20))
    yield Question("the same, 20 times `not contains`", nested, none)
    yield Question("20 of the log", "{ auditLog { nodes { kind record { id } actor { id } } } }")
    yield Question("the log counted", "{ auditLog { totalCount } }")
    for kind, name in (("CatalogItem", "catalogItems"), ("Design", "designs")):
        label = {"catalogItems": "items", "designs": "designs"}[name]
        count = f"query ($f: {kind}Filter) {{ {name}(filter: $f) {{ totalCount }} }}"
        for filter_name, chosen in filters().items():
            yield Question(f"{label} counted{filter_name}", count, chosen)
        page = f"query ($f: {kind}Filter) {{ {name}(filter: $f) {{ nodes {{ id name }} }} }}"
        yield Question(f"20 {label}, `contains`", page, {"name": {"contains": "korbul"}})
        nothing = none["and"] + [{"name": {"contains": "o"}}, {"not": {"name": {"contains": "o"}}}]
        yield Question(f"20 {label}, 20 times `not contains`, none passes", page, {"and": nothing})


def filters() -> dict[str, dict[str, Any]]:
    """What lists are filtered by, by what is added to the name of a question."""
    times = [{"createdAt": {"lt": f"2024-01-01T00:00:{number:02}Z"}} for number in range(20)]
    return {
        "": {},
        ", 20 comparisons": _all(iter(times)),
        ", none of 100 names": _all(iter([{"name": {"in": _words(100)}}])),
        ", `contains` a word": {"name": {"contains": "korbul"}},
        ", `contains` a letter": {"name": {"contains": "o"}},
        ", `not contains`": _all({"name": {"contains": word}} for word in _words(1)),
        ", 20 times `not startsWith`": _all({"name": {"startsWith": word}} for word in _words(20)),
        ", 60 times `not contains`": _all({"name": {"contains": word}} for word in _words(60)),
        ", without a tag": _all(iter([{"tags": {"any": ["x"]}}])),
        ", without 20 tags, one by one": _all({"tags": {"any": [word]}} for word in _words(20)),
        ", without 100 tags": _all(iter([{"tags": {"any": _words(100)}}])),
    }


async def measure(settings: Settings, rows: int, mongodb_pid: int, asked: Iterable[Asked], by: str = "admin") -> None:
    """Print the table, of what an admin asks, or a user."""
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        stores = app.state.stores
        id = bulk.key("user", 0, rows)
        async with stores.engine.begin() as connection:
            role = "UPDATE shared.users SET role = :role, is_active = true, deleted_at = NULL WHERE id = :id"
            await connection.execute(text(role), {"id": id, "role": by})
        token = access_token(settings, id, await open_session(stores, id))
        clock = await Clock.of(app, mongodb_pid)
        typer.echo("| asked for | points | PostgreSQL ms | MongoDB ms | API ms | stores' ms a point |")
        typer.echo("|---|--:|--:|--:|--:|--:|")
        for question in asked:
            body = orjson.dumps({"query": question.query, "variables": question.variables})
            began = time.perf_counter()
            answer = orjson.loads(await answer_of(app, body, token))
            assert "errors" not in answer, (question.name, answer["errors"])
            runs = max(LEAST, min(MOST, int(LONG / (time.perf_counter() - began))))
            before = clock.read()
            for _ in range(runs):
                await answer_of(app, body, token)
            postgres, mongodb, own = ((b - a) / runs for a, b in zip(before, clock.read(), strict=True))
            points = answer["extensions"]["cost"]["actual"]
            each = (postgres + mongodb) / points
            typer.echo(f"| {question.name} | {points:,} | {postgres:.1f} | {mongodb:.1f} | {own:.1f} | {each:.3f} |")


async def fill(settings: Settings, rows: int, designs: int) -> None:
    """Both stores; without `designs` those that MongoDB has already."""
    if designs:
        await bulk.fill(settings, rows, designs)
    else:
        assert settings.postgres_url is not None
        await bulk.load(settings.postgres_url, rows)


def main(
    rows: Annotated[int, typer.Option(help="Rows in each table.")] = 121_000,
    designs: Annotated[int, typer.Option(help="Designs; 0 for those that are there.")] = 2_000,
    only: Annotated[str, typer.Option(help="Only questions whose name has this.")] = "",
    mongodb_uri: Annotated[str, typer.Option(help="Another MongoDB than the embedded one.")] = "",
    mongodb_pid: Annotated[int, typer.Option(help="Its process.")] = 0,
) -> None:
    """Print the stores' time of each kind of operation, and how much of it a point stands for."""
    other: dict[str, Any] = {"mongodb_uri": SecretStr(mongodb_uri)} if mongodb_uri else {}
    roomy = {"statement_timeout": 120, "execution_timeout": 200, "max_cost": 2**31 - 1, "report_cost": True}
    with migrated_stores(log_level="error", **roomy, **other) as settings:
        asyncio.run(fill(settings, rows, designs))
        asked = [question for question in questions() if only in question.name]
        asyncio.run(measure(settings, rows, mongodb_pid, asked))


if __name__ == "__main__":
    typer.run(main)
