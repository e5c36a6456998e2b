"""A step of load: visitors that come at one rate, in a process of their own, and what came of them."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from api.config.settings import Settings
from api.ids import encode_id
from api.stores.stores import Stores, open_stores
from tests.support.factories.users import create_user
from tests.support.signing_in import access_token, open_session

WORDS = ("dress", "linen", "wool coat", "floral", "silk", "shirt", "red", "cotton summer", "jaket", "leather")
SHED = "shed"


@dataclass(frozen=True)
class Step:
    """What came of visitors who came at `rate` a second. Times are milliseconds, of what was answered and not shed."""

    rate: float
    seconds: float
    answered: int
    shed: int
    failed: int
    p50: float
    p99: float
    late: float
    operations: dict[str, dict[str, Any]]
    errors: list[str]
    by_second: dict[int, tuple[float, int, int]]
    """Of the requests that began in each second: how long the slowest answer took, how many were shed and failed."""

    @property
    def goodput(self) -> float:
        """Answers a second."""
        return self.answered / self.seconds


@dataclass(frozen=True)
class Site:
    """What visitors find: access tokens of accounts that edit, and global ids of published designs."""

    tokens: list[str]
    designs: list[str]

    @classmethod
    async def of(cls, settings: Settings, *, accounts: int, designs: int) -> Self:
        """With so many new accounts, and at most so many designs of those that are there."""
        async with open_stores(settings) as stores:
            found = stores.database["designs"].find({"status": "published", "deletedAt": None}, ["_id"]).limit(designs)
            ids = [encode_id("Design", each["_id"]) async for each in found]
            return cls([await _editor(settings, stores) for _ in range(accounts)], ids)


async def _editor(settings: Settings, stores: Stores) -> str:
    account = await create_user(stores)
    return access_token(settings, account.id, await open_session(stores, account.id))


def step(url: str, rate: float, site: Site, **limit: Any) -> Step:
    """Visitors at this rate, for `seconds` or a `count` of them; after the seconds as `then` says."""
    plan = {"url": url, "rate": rate, "tokens": site.tokens, "designs": site.designs, "words": WORDS, **limit}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "plan.json"
        path.write_text(json.dumps(plan), "utf-8")
        command = [sys.executable, "-m", "tests.load.arrivals", str(path)]
        ended = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    came = json.loads(ended.stdout)
    answered = {name: each for name, each in came["operations"].items() if name != SHED}
    times: Counter[float] = Counter()
    for each in answered.values():
        times.update(dict(each["times"]))
    failed = sum(each["failed"] for each in answered.values()) + came["unanswered"]
    return Step(
        rate=rate,
        seconds=came["seconds"],
        answered=sum(each["count"] - each["failed"] for each in answered.values()),
        shed=came["operations"].get(SHED, {"count": 0})["count"],
        failed=failed,
        p50=_percentile(times, 0.5),
        p99=_percentile(times, 0.99),
        late=came["late_ms"],
        operations=came["operations"],
        errors=came["errors"],
        by_second={int(second): tuple(found) for second, found in came["by_second"].items()},
    )


def _percentile(times: Counter[float], share: float) -> float:
    left = share * times.total()
    for time, count in sorted(times.items()):
        left -= count
        if left <= 0:
            return time
    return 0.0
