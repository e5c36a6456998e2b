"""What Python's garbage collector costs: a page of designs with everything that they refer to, as it is set up.

    python -m tests.benchmarks.garbage [--rounds 15] [--requests 40]

The settings take turns in one process, without a socket, over stores of its own with the demo data.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
from collections.abc import Callable
from functools import partial
from typing import Final

import typer

from api.accounts.passwords import hasher
from api.config.settings import Settings
from api.demo.loader import load
from api.http.application import create_app
from api.server import garbage_collection
from tests.benchmarks.in_process import answer_of, cpu
from tests.benchmarks.rls import BODY
from tests.support.servers import migrated_stores


def _default() -> None:
    gc.enable()
    gc.unfreeze()
    gc.set_threshold(700, 10, 10)


def _frozen(threshold: int) -> Callable[[], None]:
    def set_up() -> None:
        _default()
        garbage_collection.freeze(Settings(_env_file=None, gc_threshold=threshold))

    return set_up


def _off() -> None:
    _default()
    gc.disable()


KINDS: Final[dict[str, Callable[[], None]]] = {
    "Python's default": _default,
    "frozen": _frozen(700),
    "frozen, 10,000": _frozen(10_000),
    "frozen, 50,000": _frozen(50_000),
    "off": _off,
}


async def measure(settings: Settings, rounds: int, requests: int) -> None:
    costs: dict[str, list[float]] = {kind: [] for kind in KINDS}
    collections: dict[str, list[int]] = {kind: [0, 0, 0] for kind in KINDS}
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        await load(app.state.stores, password="benchmark", hasher=hasher(settings))
        for turn in range(rounds + 1):
            for kind, set_up in KINDS.items():
                set_up()
                before = [each["collections"] for each in gc.get_stats()]
                cost = await cpu(partial(answer_of, app, BODY), requests)
                if turn:  # the first warms up
                    costs[kind].append(cost * 1000)
                    after = [each["collections"] for each in gc.get_stats()]
                    collections[kind] = [n + b - a for n, a, b in zip(collections[kind], before, after, strict=True)]
    base = costs["Python's default"]
    for kind, spent in costs.items():
        ratio = statistics.median(b / a for a, b in zip(base, spent, strict=True))
        each = " ".join(f"{count / rounds / requests:6.3f}" for count in collections[kind])
        typer.echo(f"{kind:18} {statistics.median(spent):6.2f} ms CPU, ratio {ratio:.2f}, collections a request {each}")


def main(rounds: int = 15, requests: int = 40) -> None:
    with migrated_stores() as settings:
        asyncio.run(measure(settings, rounds, requests))


if __name__ == "__main__":
    typer.run(main)
