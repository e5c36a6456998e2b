"""Where counts are kept: this process's memory, or Redis (or Valkey) for all instances."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, Protocol

from api.config.settings import ConfigurationError, Settings
from api.log import logger

if TYPE_CHECKING:
    from limits.aio.storage import RedisStorage
    from redis.asyncio import BlockingConnectionPool

KEPT: Final = 50_000
"""Counts in memory; beyond them the ones that began first are forgotten."""
PREFIX: Final = "fashion-wallet"
PROBED: Final = 0.5
"""Seconds between two looks at a Redis that doesn't answer."""
PATIENCE: Final = 5.0
"""Seconds that a connection to Redis may take where no request waits for it: it takes several answers, each a turn of
an event loop that may be busy."""
SILENCES: Final = 3
"""Answers in a row that may be late, on a busy machine, before Redis counts as down."""
CONNECTIONS: Final = 50
"""Most connections to Redis, a process; who finds none free waits for one as long as for an answer."""


class Counts(Protocol):
    """Counts by name, each for `expiry` seconds after it began."""

    async def incr(self, key: str, expiry: int, amount: int) -> int:
        """Add to a count, or take from it; what it is then."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class MemoryCounts:
    """Not the memory storage of `limits`, which starts a task with each count that walks through all of them."""

    def __init__(self) -> None:
        self._counts: OrderedDict[str, tuple[int, float]] = OrderedDict()

    async def incr(self, key: str, expiry: int, amount: int) -> int:
        now = time.monotonic()
        count, ends = self._counts.get(key, (0, 0.0))
        if ends <= now:
            self._counts.pop(key, None)
            count, ends = 0, now + expiry
            self._forget_ended(now)
        self._counts[key] = count + amount, ends
        return count + amount

    async def close(self) -> None:
        pass

    def __len__(self) -> int:
        return len(self._counts)

    def _forget_ended(self, now: float) -> None:
        """Two at most: one is added at a time, so the rest goes with the next ones."""
        for _ in range(2):
            if not self._counts:
                return
            key, (_, ends) = next(iter(self._counts.items()))
            if ends > now and len(self._counts) < KEPT:
                return
            del self._counts[key]


class SharedCounts:
    """Counts in Redis. A request never fails for its sake, and waits for it at most `redis_timeout`.

    Raises ConfigurationError for a URL that the driver can't read, which would pass for an outage without end.

    When Redis doesn't answer, counts go on in memory, each process for itself, and no request asks Redis again until
    a probe in the background has had an answer. Each outage is logged once, and its end.
    """

    def __init__(self, settings: Settings) -> None:
        assert settings.redis_url is not None
        self._url, self._timeout = settings.redis_url.get_secret_value(), settings.redis_timeout
        _check(self._url, self._timeout)
        self._memory = MemoryCounts()
        self._redis: RedisStorage | None = None
        self._down_since: float | None = None
        self._probing: asyncio.Task[None] | None = None
        self._silences = 0

    @property
    def is_down(self) -> bool:
        """Whether counts are in memory for now."""
        return self._down_since is not None

    async def incr(self, key: str, expiry: int, amount: int) -> int:
        total = await self.incr_shared(key, expiry, amount)
        return await self._memory.incr(key, expiry, amount) if total is None else total

    async def incr_shared(self, key: str, expiry: int, amount: int) -> int | None:
        """As `incr`, but None where Redis doesn't answer."""
        if self.is_down:
            return None
        if self._redis is None:
            self._redis = _storage(self._url, self._timeout)
        try:
            async with asyncio.timeout(self._timeout):
                total = await self._redis.incr(key, expiry, amount)
            self._silences = 0
            return total
        except Exception as error:  # whatever it is (drivers have bugs, too), no request fails for it
            self._fall_back(error)
            return None

    async def close(self) -> None:
        if self._probing is not None:
            self._probing.cancel()
        if self._redis is not None:
            with contextlib.suppress(Exception):
                await _client(self._redis).aclose(close_connection_pool=True)
            self._redis = None

    def _fall_back(self, error: BaseException) -> None:
        self._silences += 1
        is_late = "Timeout" in type(error).__name__  # TimeoutError, and Redis's own of that name
        if not self.is_down and self._redis is not None and (not is_late or self._silences >= SILENCES):
            self._down_since = time.monotonic()
            logger.error("rate limits count in memory: Redis does not answer", error=type(error).__name__)
            self._probing = asyncio.create_task(self._probe())

    async def _probe(self) -> None:
        """Until there is an answer."""
        assert self._redis is not None
        answers = False
        while not answers:
            await asyncio.sleep(PROBED)
            with contextlib.suppress(Exception):
                # not the storage's check(), which takes its own cancellation for a failure
                async with asyncio.timeout(PATIENCE):
                    await _client(self._redis).ping()  # over a new connection
                async with asyncio.timeout(self._timeout):
                    answers = await _client(self._redis).ping()
        assert self._down_since is not None
        logger.warning("rate limits are shared again", seconds=round(time.monotonic() - self._down_since, 1))
        self._down_since, self._silences = None, 0


def counts_of(settings: Settings) -> MemoryCounts | SharedCounts:
    """The counts that the settings ask for."""
    return MemoryCounts() if settings.redis_url is None else SharedCounts(settings)


def _storage(url: str, timeout: float) -> RedisStorage:
    """The storage of `limits`, over a pool that neither retries nor grows without end.

    Valkey speaks the same protocol, so its URLs need no driver of their own.
    """
    from limits.aio.storage import RedisStorage

    options: dict[str, Any] = {"connection_pool": _pool(url, timeout)}
    return RedisStorage(f"async+{_redis(url)}", implementation="redispy", key_prefix=PREFIX, **options)


def _redis(url: str) -> str:
    return url.replace("valkey", "redis", 1) if url.startswith("valkey") else url


def _check(url: str, timeout: float) -> None:
    try:
        _pool(url, timeout).make_connection()  # type: ignore[no-untyped-call]  # it connects later
    except TypeError as error:
        unknown = re.search(r"unexpected keyword argument '(\w+)'", str(error))
        raise ConfigurationError(f"REDIS_URL: the driver has no {unknown[1] if unknown else 'such option'}") from None
    except ValueError as error:  # its message names the option, or the port, and nothing more
        raise ConfigurationError(f"REDIS_URL: {error}") from None


def _pool(url: str, timeout: float) -> BlockingConnectionPool:
    from redis.asyncio import BlockingConnectionPool
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    return BlockingConnectionPool.from_url(
        _redis(url),
        max_connections=CONNECTIONS,
        timeout=timeout,
        socket_connect_timeout=PATIENCE,  # a request waits less, by a limit of its own
        retry=Retry(NoBackoff(), 0),
        client_name=PREFIX,
    )


def _client(storage: RedisStorage) -> Any:
    """The `redis.asyncio.Redis` of a storage."""
    return storage.bridge.get_connection()  # type: ignore[attr-defined]
