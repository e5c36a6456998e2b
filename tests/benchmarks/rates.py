"""What metering costs a request, in microseconds: `python -m tests.benchmarks.rates [--redis-url redis://...]`.

A request is charged and given back a part, as after an operation; its headers are made. Of one that is refused, the
refusal alone.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Awaitable, Callable
from uuid import uuid4

import uvloop
from pydantic import SecretStr

from api.config.settings import Settings
from api.errors import RateLimited
from api.rates.counts import counts_of
from api.rates.meter import Meters


async def measure(settings: Settings, requests: int, clients: int) -> None:
    """Print a line for each kind of request."""
    accounts = [uuid4() for _ in range(clients)]
    meters = Meters(settings, counts_of(settings))

    async def charged(number: int) -> None:
        meter = meters.of(accounts[number % clients], None)
        assert meter is not None
        meter.require()
        await meter.settle(await meter.charge(100), 40)
        await meter.finish(0)
        assert meter.headers()

    async def refused(number: int) -> None:
        meter = exhausted.of(accounts[number % clients], None)
        assert meter is not None
        try:
            meter.require()
            await meter.charge(100)
        except RateLimited:
            assert meter.headers()

    exhausted = Meters(settings.model_copy(update={"rate_limit_user": "100/day"}), counts_of(settings))
    for account in accounts:
        meter = exhausted.of(account, None)
        assert meter is not None
        await meter.charge(100)
    for name, work in (("charged", charged), ("refused", refused)):
        print(f"{name}: {await _micros(work, requests):.1f} us")  # noqa: T201  it is what the command is for
    await meters.close()
    await exhausted.close()


async def _micros(work: Callable[[int], Awaitable[None]], requests: int) -> float:
    started = time.process_time()
    for number in range(requests):
        await work(number)
    return (time.process_time() - started) / requests * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--redis-url")
    parser.add_argument("--requests", type=int, default=50_000)
    parser.add_argument("--clients", type=int, default=10_000)
    given = parser.parse_args()
    url = SecretStr(given.redis_url) if given.redis_url else None
    settings = Settings(_env_file=None, rate_limit_user="1000000000/day", redis_url=url)
    uvloop.run(measure(settings, given.requests, given.clients))


if __name__ == "__main__":
    main()
