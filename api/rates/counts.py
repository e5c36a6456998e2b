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
"""The most counts in memory; beyond that the oldest ones are forgotten."""
PREFIX: Final = "fashion-wallet"
PROBED: Final = 0.5
"""Seconds between two probes of a Redis that doesn't answer."""
PATIENCE: Final = 5.0
"""Seconds that connecting to Redis may take where no request waits for it. It takes several answers, each of which
needs a turn of a possibly busy event loop."""
SILENCES: Final = 3
"""How many answers in a row may be late (on a busy machine) before Redis counts as down."""
CONNECTIONS: Final = 50
"""The most connections to Redis, for each process. A request waits for a free one as long as for an answer."""


class Counts(Protocol):
    """Counts by name, each for `expiry` seconds after it began."""

    async def incr(self, key: str, expiry: int, amount: int) -> int:
        """Add to a count (or subtract), and return what it is then."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


class MemoryCounts:
    """Counts in memory. The memory storage of `limits` isn't used: for each count it starts a task that walks all of
    them."""

    def __init__(self) -> None:
        self._counts: OrderedDict[str, tuple[int, float]] = OrderedDict()

    async def incr(self, key: str, expiry: int, amount: int) -> int:
        return self.add(key, expiry, amount)

    def add(self, key: str, expiry: int, amount: int) -> int:
        """As `incr`, at once."""
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
        """Drop up to two counts that have ended. One count is added at a time, so the rest goes later."""
        for _ in range(2):
            if not self._counts:
                return
            key, (_, ends) = next(iter(self._counts.items()))
            if ends > now and len(self._counts) < KEPT:
                return
            del self._counts[key]


class SharedCounts:
    """Counts in Redis. A request never fails because of Redis, and waits for it at most `redis_timeout`.

    When Redis doesn't answer, each process counts in its memory, and no request asks Redis again until a probe in the
    background is answered. The beginning and the end of an outage are logged once each.

    The constructor raises ConfigurationError for a URL that the driver can't read: it would look like an endless
    outage.
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
        """Whether Redis doesn't answer, so that counts are in memory."""
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
        except Exception as error:  # no request may fail because of Redis, not even for a bug of the driver
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
        """Probe Redis until it answers."""
        assert self._redis is not None
        answers = False
        while not answers:
            await asyncio.sleep(PROBED)
            with contextlib.suppress(Exception):
                # not the check() of the storage, which treats its own cancellation as a failure
                async with asyncio.timeout(PATIENCE):
                    await _client(self._redis).ping()  # over a new connection
                async with asyncio.timeout(self._timeout):
                    answers = await _client(self._redis).ping()
        assert self._down_since is not None
        logger.warning("rate limits are shared again", seconds=round(time.monotonic() - self._down_since, 1))
        self._down_since, self._silences = None, 0


def counts_of(settings: Settings) -> MemoryCounts | SharedCounts:
    """The counts by the settings: in Redis if REDIS_URL is set."""
    return MemoryCounts() if settings.redis_url is None else SharedCounts(settings)


def _storage(url: str, timeout: float) -> RedisStorage:
    """The storage of `limits`, with a pool that doesn't retry and has a bounded size.

    Valkey speaks the protocol of Redis, so its URLs need no other driver.
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
    except ValueError as error:  # its message only names the option or the port, no secret
        raise ConfigurationError(f"REDIS_URL: {error}") from None


def _pool(url: str, timeout: float) -> BlockingConnectionPool:
    from redis.asyncio import BlockingConnectionPool
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    return BlockingConnectionPool.from_url(
        _redis(url),
        max_connections=CONNECTIONS,
        timeout=timeout,
        socket_connect_timeout=PATIENCE,  # requests wait less: they have `redis_timeout`
        retry=Retry(NoBackoff(), 0),
        client_name=PREFIX,
    )


def _client(storage: RedisStorage) -> Any:
    """The `redis.asyncio.Redis` of a storage."""
    return storage.bridge.get_connection()  # type: ignore[attr-defined]
