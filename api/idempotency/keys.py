"""Mutations that run once: what the header `Idempotency-Key` does.

The first request with a key claims it (`api.idempotency.claims`), runs, and leaves its answer for
IDEMPOTENCY_KEY_LIFETIME. The same request with that key gets the answer again, another one an error, and one that
comes while the first runs waits for it. A key belongs to the account that sends it, or to the address of somebody who
isn't signed in; and an address has few of them.

If the process dies in between: a mutation that has written to PostgreSQL does not run again, and its key answers
IDEMPOTENCY_INTERRUPTED, since the answer is lost. Any other runs again once the claim has lapsed. Writes to MongoDB
can't be noted on the claim in one step, so there a second run has to be harmless: a new design has an `_id` that
follows from the key, and changes name the version that they expect. deleteUser and restoreUser go on where they were.

Answers may hold tokens, and inputs passwords, so neither is stored in clear: an answer is encrypted with a key that
takes AUTH_SECRET and the whole request to compute, and of the request only a keyed hash is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import re
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence, Set
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import orjson
from joserfc import jwe
from joserfc.jwk import OctKey

from api.accounts.tokens import secrets_of
from api.config.settings import Settings
from api.error_codes import ErrorCode
from api.errors import AppError, Conflict, RateLimited, StatementTimedOut, StoreUnavailable, as_app_error, reported
from api.execution.operation import Operation
from api.idempotency import claims
from api.idempotency.claims import Claim, IdempotencyError, InProgress
from api.log import logger
from api.stores.stores import Stores

HEADER: Final = "Idempotency-Key"
ANONYMOUS: Final = "address:"
"""The prefix of the actor of a key that was sent without signing in."""
PATIENCE: Final = 5.0
"""Seconds that a request waits for another one with the same key."""
_POLL: Final = 0.05
_SWEPT: Final = 100
"""The most expired keys that are deleted whenever an answer is stored."""
NOT_REPLAYED: Final = frozenset({"refreshSession"})
"""Mutations whose answer is never repeated: a refresh token that is used twice was copied, with or without a key."""
MOST_ANONYMOUS: Final = 100
"""The most keys that one address has without signing in; each is a row for its lifetime."""
_VISIBLE: Final = re.compile(r"[!-~]{1,255}")
_TRANSIENT: Final = frozenset(
    each.code.name for each in (StoreUnavailable, StatementTimedOut, Conflict, AppError, RateLimited, InProgress)
)
"""Codes of errors after which the same request may run again."""


class BadKey(IdempotencyError):
    """The key is malformed."""

    code = ErrorCode.BAD_IDEMPOTENCY_KEY
    status = 400

    def __init__(self) -> None:
        super().__init__(f"{HEADER} must be given once, as 1 to 255 visible ASCII characters.")


class NotReplayed(IdempotencyError):
    """The operation has a mutation whose answer is never repeated, beside others."""

    code = ErrorCode.BAD_IDEMPOTENCY_KEY
    status = 400

    def __init__(self) -> None:
        names = ", ".join(sorted(NOT_REPLAYED))
        super().__init__(f"{HEADER} can't be kept for {names}: send the other mutations in a request of their own.")


class KeyReused(IdempotencyError):
    """The key was used for another request."""

    code = ErrorCode.IDEMPOTENCY_KEY_REUSED
    status = 422

    def __init__(self) -> None:
        super().__init__("This key came with another request before: a new request needs a new key.")


class Interrupted(IdempotencyError):
    """The mutation has run, but its answer is lost."""

    code = ErrorCode.IDEMPOTENCY_INTERRUPTED

    def __init__(self) -> None:
        super().__init__(
            "A request with this key was interrupted after it had changed something, and its answer is lost: "
            "read what is there now, and use a new key for what is left to do."
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """The HTTP status and the body, and whether an earlier request got the same answer."""

    status: int
    body: dict[str, Any]
    replayed: bool = False


def key_of(headers: Sequence[str]) -> str:
    """The key of a request, by its headers of that name. Raises BadKey."""
    if len(headers) != 1 or not _VISIBLE.fullmatch(headers[0]):
        raise BadKey
    return headers[0]


def may_be_replayed(mutations: Set[str]) -> bool:
    """Whether the answer to these mutations may be repeated: there are some, and none is in `NOT_REPLAYED`.

    Raises NotReplayed where it has both kinds.
    """
    if not mutations - NOT_REPLAYED:
        return False
    if mutations & NOT_REPLAYED:
        raise NotReplayed
    return True


class Idempotency:
    """Runs each mutation with a key once, across all processes."""

    def __init__(self, settings: Settings) -> None:
        self._secrets = [secret.encode() for secret in secrets_of(settings)]
        self._lifetime = timedelta(seconds=settings.idempotency_key_lifetime)

    async def once(
        self,
        key: str,
        actor: str,
        operation: Operation,
        stores: Stores,
        run: Callable[[Claim], Awaitable[tuple[int, dict[str, Any]]]],
    ) -> Answer:
        """The answer to the mutation. It is only run if it hasn't run before.

        Raises IdempotencyError, RateLimited, StoreUnavailable, Conflict.
        """
        seals = [_Seal.of(operation, secret) for secret in self._secrets]
        fingerprints = [seal.fingerprint for seal in seals]
        deadline = time.monotonic() + PATIENCE
        with told_to_clients():
            if actor.startswith(ANONYMOUS):
                await self._require_room(actor, key, stores)
            while True:
                claim = await claims.claim(stores, actor, key, fingerprints, self._lifetime)
                if claim is not None:
                    break
                known = await self._await_answer(actor, key, seals, stores, deadline)
                if known is not None:
                    return known
        async with claims.renewed(stores, claim):
            try:
                status, body = await run(claim)
            except AppError:  # the request can't be executed
                with told_to_clients():
                    await claims.withdraw(stores, claim)
                raise
        await self._end(claim, stores, seals[0], Answer(status, body))
        return Answer(status, body)

    async def _require_room(self, actor: str, key: str, stores: Stores) -> None:
        """Raise RateLimited where this address has the most keys that it may have."""
        if await claims.others(stores, actor, key, self._lifetime, MOST_ANONYMOUS) >= MOST_ANONYMOUS:
            raise RateLimited(self._lifetime.total_seconds())

    async def _await_answer(
        self, actor: str, key: str, seals: Sequence[_Seal], stores: Stores, deadline: float
    ) -> Answer | None:
        """The stored answer, if there is one or it arrives in time; None where the key can be claimed."""
        while (found := await claims.find(stores, actor, key)) is not None:
            seal = next((each for each in seals if hmac.compare_digest(each.fingerprint, found.fingerprint)), None)
            if seal is None:
                raise KeyReused
            if found.response is not None:
                return seal.open(found.response)
            if not found.running:
                if found.written_at is not None:
                    raise Interrupted
                return None
            if time.monotonic() > deadline:
                raise InProgress
            await asyncio.sleep(_POLL)
        return None

    async def _end(self, claim: Claim, stores: Stores, seal: _Seal, answer: Answer) -> None:
        """End the claim. If PostgreSQL is down by now, the claim expires by itself; the client has its answer."""
        codes = {error.get("extensions", {}).get("code") for error in answer.body.get("errors", ())}
        try:
            if "data" not in answer.body:
                await claims.withdraw(stores, claim)
                return
            await claims.answer(stores, claim, seal.close(answer), final=not codes & _TRANSIENT)
            await claims.sweep(stores, self._lifetime, _SWEPT, nearby=claim.actor)
        except Exception as error:
            if as_app_error(error) is None:
                raise
            logger.warning("answer not kept for its idempotency key", claim=str(claim.id), error=repr(error))


@contextlib.contextmanager
def told_to_clients() -> Iterator[None]:
    """Turn errors of the store into AppErrors: without a claim, the mutation must not run."""
    try:
        yield
    except Exception as error:
        if (known := reported(error)) is None:
            raise
        raise known from None


class _Registry(jwe.JWERegistry):
    max_ciphertext_length = 1 << 28  # answers may have more than the default of 64 KB


@dataclass(frozen=True, slots=True)
class _Seal:
    """The fingerprint of a request, and the encryption of its answer, by one of our secrets."""

    fingerprint: bytes
    key: OctKey

    @classmethod
    def of(cls, operation: Operation, secret: bytes) -> _Seal:
        asked = orjson.dumps([operation.query, operation.name, operation.variables or {}], option=orjson.OPT_SORT_KEYS)
        fingerprint = hmac.digest(secret, b"idempotency fingerprint:" + asked, "sha256")
        return cls(fingerprint, OctKey.import_key(hmac.digest(secret, b"idempotency answer:" + asked, "sha256")))

    def close(self, answer: Answer) -> dict[str, Any]:
        """Encrypt an answer, to be stored."""
        text = orjson.dumps(answer.body, default=str)
        sealed = jwe.encrypt_compact({"alg": "dir", "enc": "A256GCM"}, text, self.key, registry=_Registry())
        return {"status": answer.status, "sealed": sealed}

    def open(self, stored: dict[str, Any]) -> Answer:
        """Decrypt a stored answer."""
        text = jwe.decrypt_compact(stored["sealed"], self.key, registry=_Registry()).plaintext
        return Answer(stored["status"], orjson.loads(text or b"{}"), replayed=True)
