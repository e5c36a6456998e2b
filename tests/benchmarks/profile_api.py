"""Where the API's CPU time goes, by part, while it answers one operation over some connections.

python -m tests.benchmarks.profile_api --only designBoard
python -m tests.benchmarks.profile_api --only oneDesign --connections 64 --variety many
"""

from __future__ import annotations

import collections
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import orjson
import typer
import uvloop

from tests.benchmarks import load
from tests.benchmarks.bench import Bench, bench
from tests.benchmarks.operations import operations
from tests.benchmarks.variety import Variety, requests_of

PARTS: Final = {
    "MongoDB driver": ("/pymongo/", "/bson/", "/beanie/", "/gridfs/"),
    "SQL driver": ("/sqlalchemy/", "/asyncpg/", "/models/"),
    "executor": ("/api/execution/",),
    "logging": ("/structlog/", "/logging/", "/api/log.py"),
    "JSON": ("/orjson/", "/json/"),
    "GraphQL (parsing, validation, coercion)": (
        "/graphql/",
        "/strawberry/",
        "/api/admission/limited_schema.py",
        "/api/fields/compiled.py",
    ),
    "limits and rates": ("/api/admission/", "/api/rates/", "/limits/"),
    "reading and pages": (
        *("/api/lists/", "/api/fields/", "/api/rights/", "/api/stores/", "/api/ids.py", "/documents/"),
        *("/api/designs/", "/api/users/", "/api/avatars/", "/api/catalog/"),
    ),
    "HTTP": ("/starlette/", "/uvicorn/", "/httptools/", "/api/"),
}
"""The first part that a frame belongs to, looked for from the innermost frame; what is of none is the event loop."""


def part_of(stack: list[tuple[str, str]]) -> str:
    """To which part a sample counts. The libraries' C code counts to the Python function that called it."""
    for file, _ in stack:
        for part, fragments in PARTS.items():
            if any(fragment in file for fragment in fragments):
                return part
    return "event loop"


async def warm_up(url: str, requests: Sequence[bytes], connections: int) -> None:
    outcome = await load.run(url, requests, count=max(len(requests), 20 * connections), connections=connections)
    assert outcome.statuses == {200}, outcome.answer


def profile(bench: Bench, name: str, variety: Variety, connections: int, seconds: float, functions: int) -> None:
    (operation,) = (operation for operation in operations(bench.design_id) if operation.name == name)
    written = bench.folder / "profile.json"
    server = bench.api(command=(sys.executable, "-m", "tests.benchmarks.sampled"), PROFILE=str(written))
    varied = requests_of(operation, variety, bench.rows, bench.designs)
    requests = [bench.request(server, each) for each in varied]
    uvloop.run(warm_up(server.url, requests, connections))
    os.kill(server.pid, signal.SIGUSR1)
    before = server.cpu()
    outcome = uvloop.run(load.run(server.url, requests, seconds=seconds, connections=connections))
    used = server.cpu() - before
    bench.close()  # the profile is written at the end
    samples = [([tuple(frame) for frame in stack], count) for stack, count in orjson.loads(written.read_bytes())]
    total = sum(count for _, count in samples)
    typer.echo(f"{operation.description}: {used / outcome.requests * 1000:.2f} ms CPU a request, {total} samples")
    parts: collections.Counter[str] = collections.Counter()
    innermost: collections.Counter[str] = collections.Counter()
    for stack, count in samples:
        parts[part_of(stack)] += count
        file, function = stack[0]
        innermost[f"{'/'.join(Path(file).parts[-3:])} {function}"] += count
    for title, counted in (("by part", parts), ("by innermost function", innermost)):
        typer.echo(f"\n{title}")
        for label, count in counted.most_common(functions):
            typer.echo(f"{count / total:7.1%}  {count / total * used / outcome.requests * 1000:6.3f} ms  {label}")


def main(
    only: Annotated[str, typer.Option(help="The operation, by name.")] = "designBoard",
    variety: Annotated[Variety, typer.Option(help="How its requests differ.")] = Variety.ONE,
    connections: Annotated[int, typer.Option(help="How many at the same time.")] = load.CONNECTIONS,
    seconds: Annotated[float, typer.Option(help="How long it is loaded.")] = 10.0,
    functions: Annotated[int, typer.Option(help="Lines of each table.")] = 25,
) -> None:
    """Print the share of each part, and the functions in which most samples were taken."""
    with bench(10_000, 2_000) as ready:
        profile(ready, only, variety, connections, seconds, functions)


if __name__ == "__main__":
    typer.run(main)
