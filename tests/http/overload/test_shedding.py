"""Shedding load: which requests are refused by how long they have waited, and what is said of it."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

import httpx
import pytest
import structlog
from starlette.types import Receive, Scope, Send

from api.config.settings import Settings
from api.http.overload.shedding import ARRIVED, Queue
from api.stores.breakers.line import Line
from tests.support.applications import running

TARGET = 0.1
BUSY = [0.15] * 20
"""Waits that are all above the target, and below twice of it."""


def refused(queue: Queue, waits: Sequence[float], begins: float = 100.0) -> list[bool]:
    """Whether requests that come each 10 ms, and have waited so long, are refused."""
    return [queue.refuses(wait, begins + number / 100, 7) for number, wait in enumerate(waits)]


def test_a_burst_is_waited_for() -> None:
    """One in each interval has hardly waited, so nobody stands in a line that doesn't get shorter."""
    assert refused(Queue(TARGET), ([0.01] + [1.0] * 9) * 10) == [False] * 100


def test_who_has_waited_longest_is_refused_while_all_wait() -> None:
    queue = Queue(TARGET)
    assert refused(queue, BUSY) == [False] * 20  # the first interval only looks, and these are let pass afterwards

    assert refused(queue, [0.3, 0.19, 0.21, 0.2, 5.0], 100.2) == [True, False, True, False, True]


def test_nobody_is_refused_where_waits_are_at_the_target() -> None:
    assert refused(Queue(TARGET), [0.1] * 20 + [1.0] * 5) == [False] * 25


def test_a_few_requests_tell_nothing() -> None:
    """Nine that have all waited for one long step, seconds apart."""
    queue = Queue(TARGET)
    assert not any(queue.refuses(1.0, 100.0 + number, 0) for number in range(10))
    assert queue.refuses(1.0, 110.0, 0)


def test_a_moment_tells_nothing() -> None:
    queue = Queue(TARGET)
    assert not any(queue.refuses(1.0, 100.0 + number / 10_000, 0) for number in range(500))


def test_it_ends_with_the_first_interval_in_which_somebody_has_not_waited() -> None:
    queue = Queue(TARGET)
    refused(queue, BUSY)
    assert refused(queue, [0.3] * 5 + [0.0] * 20, 100.2)[:5] == [True] * 5

    assert refused(queue, [1.0] * 5, 100.45) == [False] * 5


def test_an_episode_is_logged_once_however_many_are_refused() -> None:
    queue = Queue(TARGET)
    with structlog.testing.capture_logs() as logs:
        refused(queue, BUSY + [0.3] * 30 + [0.15] * 30 + [0.3] * 30)  # with a lull in between
        refused(queue, [0.0] * 30, 103.0)
        assert [line["event"] for line in logs] == ["load shed"]
        refused(queue, [0.0], 106.5)
        refused(queue, [0.0] * 5, 107.0)

    begins, ends = logs
    assert begins == {"event": "load shed", "log_level": "warning", "waited_ms": 300, "under_way": 7}
    assert ends["event"] == "load no longer shed"
    assert ends["refused"] == queue.refused > 30


def test_a_line_counts_while_its_store_answers_others() -> None:
    line = Line()
    assert not line
    assert line.waits(100.0, 0.0) == 0.0
    line.enter("first", 100.0)
    line.enter("second", 100.5)

    assert line.waits(101.0, 100.9) == 1.0  # that of the first
    assert line.waits(101.0, 100.4) == 0.0  # nobody has heard from the store for most of it
    line.leave("first")
    assert line.waits(101.0, 100.9) == 0.5
    line.leave("second")
    line.leave("second")
    assert not line


def test_a_line_is_as_long_as_it_takes_at_its_pace() -> None:
    """Two are served each 20 ms, and a hundred come at once: the last of them waits 1 s, which the first can't tell."""
    line = Line()
    for number in range(200):
        line.enter(number, 100.0)
    for number in range(100):
        line.served(number, 100.0 + (number // 2 + 1) * 0.02)
    assert line.waits(101.0, 101.0) == pytest.approx(1.0, rel=0.1)

    for number in range(100, 200):
        line.leave(number)  # who leaves without being served says nothing of the pace
    assert not line
    for number in range(20):
        line.enter(number, 200.0)
    line.leave(19)
    assert line.waits(200.02, 200.02) == pytest.approx(0.19, rel=0.1)


def test_a_pause_in_which_nobody_waits_is_none_of_the_pace() -> None:
    line = Line()
    for second in range(100, 200):
        line.enter("only", second)
        line.served("only", second + 0.01)
    line.enter("another", 300.0)
    assert line.waits(300.02, 300.015) == pytest.approx(0.02)


def test_at_three_times_its_capacity_a_store_is_waited_for_twice_the_target_and_a_little() -> None:
    """A store that serves a hundred a second, in virtual time. What is begun at first, before an interval is over,
    waits longest; without the line's pace that would be much longer."""
    target, capacity, rate = 0.25, 100, 300
    queue, line, came = Queue(target), Line(), deque[tuple[float, int]]()
    waits: list[float] = []
    for number in range(10 * rate):
        now = 100.0 + number / rate
        while came and len(waits) < (now - 100.0) * capacity:
            since, who = came.popleft()
            served = 100.0 + (len(waits) + 1) / capacity
            line.served(who, served)
            waits.append(max(0.0, served - since))
        if not queue.refuses(line.waits(now, now), now, 0):
            line.enter(number, now)
            came.append((now, number))

    assert len(waits) > 0.95 * 10 * capacity  # it has done what it can
    assert max(waits) < 3 * target
    assert sorted(waits[len(waits) // 2 :])[-1] < 2.2 * target


class Late:
    """The application, whose requests have all come so many seconds before they are begun."""

    def __init__(self, app: Any, waited: float) -> None:
        self._app, self.waited = app, waited

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app({**scope, ARRIVED: asyncio.get_running_loop().time() - self.waited}, receive, send)


async def _late(settings: Settings, **changes: Any) -> tuple[list[httpx.Response], list[httpx.Response]]:
    """Answers for three intervals, and of probes after them."""
    async with running(settings, **{"max_queue_time": TARGET} | changes) as (app, _):
        transport = httpx.ASGITransport(app=Late(app, 60.0))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
            headers = {"content-type": "application/json", "x-request-id": "mine", "origin": "http://localhost"}
            answers: list[httpx.Response] = []
            until = time.monotonic() + 0.3
            while time.monotonic() < until or len(answers) < 50:
                answers.append(await client.post("/graphql", content=b"{" * 100, headers=headers))
            probes = [await client.get(path) for path in ("/livez", "/readyz", "/metrics")]
    return answers, probes


@pytest.mark.anyio
async def test_a_request_that_is_shed_is_told_when_to_come_again(settings: Settings, clean_stores: None) -> None:
    """It isn't read: a body that is no JSON would be a 400. A page may read the answer; probes are answered."""
    answers, (live, ready, metrics) = await _late(settings, metrics=True)

    assert [answer.status_code for answer in answers[:10]] == [400] * 10
    shed = answers[-1]
    assert shed.status_code == 503
    assert shed.json() == {
        "errors": [
            {
                "message": "The server has more to do than it can do in time; try again in 1 s.",
                "extensions": {"code": "OVERLOADED", "retryAfter": 1},
            }
        ]
    }
    assert shed.headers["retry-after"] == "1"
    assert shed.headers["x-request-id"] == "mine"
    assert shed.headers["cache-control"] == "no-store"
    assert shed.headers["access-control-allow-origin"] == "http://localhost"
    assert (live.status_code, ready.status_code) == (200, 200)
    count = sum(answer.status_code == 503 for answer in answers)
    counted = [line for line in metrics.text.splitlines() if line.endswith(f" {float(count)}")]
    assert any(line.startswith("fashion_wallet_errors_total{") and 'code="OVERLOADED"' in line for line in counted)
    assert any(line.startswith("fashion_wallet_requests_total{") and 'status="5xx"' in line for line in counted)
    assert f"fashion_wallet_requests_shed_total {float(count)}" in counted


@pytest.mark.anyio
async def test_it_can_be_switched_off(settings: Settings, clean_stores: None) -> None:
    answers, _ = await _late(settings, max_queue_time=0)

    assert {answer.status_code for answer in answers} == {400}
