"""Passwords: how they are hashed, verified and re-hashed, and how often they may be guessed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import anyio
import bcrypt
import httpx
import pytest
from argon2 import PasswordHasher
from starlette.applications import Starlette

from api.accounts import passwords as hashing
from api.accounts.attempts import Attempts
from api.accounts.passwords import THREADS, WAITING, WAITING_EACH, Passwords, normalised
from api.accounts.sign_in_limits import SignInLimits
from api.config.settings import ConfigurationError, Settings, load_settings
from api.errors import RateLimited
from api.http.application import create_app
from api.rates.windows import Rate
from api.stores.stores import Stores
from tests.support.applications import running
from tests.support.factories.users import create_user, users
from tests.support.graphql import execute, is_empty, respond
from tests.support.mutations.accounts import PASSWORD, mutate, mutation, refused, sign_in, sign_up
from tests.support.signing_in import with_token

pytestmark = pytest.mark.anyio

COMPOSED = "Amélie à Paris"
DECOMPOSED = "Ame\u0301lie a\u0300 Paris"


USUAL_COST = hashing._BCRYPT_COST


@pytest.fixture
def usual_bcrypt(cheap_bcrypt: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is cheaper than it is: for tests of what hashing costs. To be there before the application is."""
    monkeypatch.setattr(hashing, "_BCRYPT_COST", USUAL_COST)


@pytest.fixture
def passwords(settings: Settings) -> Passwords:
    return Passwords(settings)


@pytest.fixture
async def strict(settings: Settings, app: Starlette, anyio_backend: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an instance that allows three failures an account and eight sign-ins an address in an hour, and
    believes a proxy on this machine."""
    limits = {"sign_in_limit_account": "3/hour", "sign_in_limit_address": "8/hour", "trusted_proxies": "127.0.0.1"}
    other = create_app(settings.model_copy(update=limits))
    async with other.router.lifespan_context(other):
        transport = httpx.ASGITransport(app=other, client=("127.0.0.1", 1))
        yield httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8001")


def coming_from(client: httpx.AsyncClient, address: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=client._transport, base_url=client.base_url, headers={"x-forwarded-for": address}
    )


async def hash_of(stores: Stores, user_id: UUID) -> str:
    user = await users(stores).find_by_id(user_id)
    assert user is not None
    return user.password_hash


async def limited(client: httpx.AsyncClient, email: str, password: str) -> bool:
    """Whether a sign-in is turned away before anybody looks at the password."""
    body = await respond(client, mutation("signIn"), input={"email": email, "password": password})
    if "errors" not in body:
        return False
    (error,) = body["errors"]
    assert is_empty(body)
    assert error["extensions"]["code"] == "RATE_LIMITED"
    assert 3590 <= error["extensions"]["retryAfter"] <= 3600
    assert error["message"] == f"Too many attempts; try again in {error['extensions']['retryAfter']} s."
    return True


async def test_a_hash_is_argon2id_with_the_parameters_of_the_settings(passwords: Passwords) -> None:
    assert (await passwords.hash(PASSWORD)).startswith("$argon2id$v=19$m=32,t=1,p=4$")
    defaults = Passwords(Settings(_env_file=None))
    assert (await defaults.hash(PASSWORD)).startswith("$argon2id$v=19$m=65536,t=3,p=4$")


async def test_a_password_is_verified(passwords: Passwords) -> None:
    stored = await passwords.hash(PASSWORD)

    assert (await passwords.verify(PASSWORD, stored)).right
    assert (await passwords.verify(PASSWORD, stored)).new_hash is None
    for wrong in (PASSWORD.upper(), PASSWORD + " ", "", "x" * 100_000, "\0"):
        assert not (await passwords.verify(wrong, stored)).right


@pytest.mark.parametrize("stored", [None, "", "none", "$argon2id$", "$2b$10$", "$2b$99$" + "x" * 53])
async def test_nothing_is_the_password_of_no_hash(passwords: Passwords, stored: str | None) -> None:
    for password in ("", "none", PASSWORD):
        assert not (await passwords.verify(password, stored)).right


async def test_the_same_letters_are_the_same_password(passwords: Passwords) -> None:
    assert COMPOSED != DECOMPOSED

    assert (await passwords.verify(COMPOSED, await passwords.hash(DECOMPOSED))).right
    assert (await passwords.verify(DECOMPOSED, await passwords.hash(COMPOSED))).right


def test_length_is_counted_in_letters() -> None:
    assert normalised("e\u0301" * 8) == "é" * 8
    assert len(normalised("😀" * 256)) == 256
    for wrong in ("e\u0301" * 7, "😀" * 257):
        with pytest.raises(ValueError, match="must have 8 to 256 characters"):
            normalised(wrong)


@pytest.mark.usefixtures("usual_bcrypt")
async def test_every_refusal_costs_the_same(
    client: httpx.AsyncClient, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified: list[str] = []
    verify, check = PasswordHasher.verify, bcrypt.checkpw

    def noting(self: PasswordHasher, stored: str | bytes, password: str | bytes) -> Any:
        verified.append(str(stored).rpartition("$")[0].rpartition("$")[0])
        return verify(self, stored, password)

    def noting_too(password: bytes, stored: bytes) -> bool:
        right = check(password, stored)  # what is no hash takes no time
        verified.append(stored[:6].decode())
        return right

    monkeypatch.setattr(PasswordHasher, "verify", noting)
    monkeypatch.setattr(bcrypt, "checkpw", noting_too)
    await sign_up(client)
    await create_user(stores, email="unusable@example.com")
    await create_user(stores, email="broken@example.com", password_hash="$2b$10$")
    original = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(10)).decode()
    await create_user(stores, email="original@example.com", password_hash=original)

    accounts = ("ada", "nobody", "unusable", "broken", "original", "x" * 1000)
    for email in (*(f"{name}@example.com" for name in accounts), "\0"):
        for password in ("wrong password", "x" * 100_000, "\u0301\u0316" * 35_000):
            verified.clear()
            await refused(client, "signIn", email=email, password=password)
            assert sorted(filter(None, verified)) == ["$2b$10", "$argon2id$v=19$m=32,t=1,p=4"], (email, password[:20])


@pytest.mark.usefixtures("usual_bcrypt")
async def test_a_costlier_bcrypt_hash_raises_the_cost_of_every_refusal(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    await passwords.verify("wrong", bcrypt.hashpw(b"right", bcrypt.gensalt(11)).decode())
    checked: list[bytes] = []
    check = bcrypt.checkpw

    def noting(password: bytes, stored: bytes) -> bool:
        checked.append(stored[:7])
        return check(password, stored)

    monkeypatch.setattr(bcrypt, "checkpw", noting)

    await passwords.verify("wrong", None)

    assert checked == [b"$2b$11$"]


@pytest.mark.parametrize("password", ["password", "Password1", "12345678", "qwertyuiop", "Sunshine1", "iloveyou1"])
async def test_common_passwords_are_refused(stores: Stores, client: httpx.AsyncClient, password: str) -> None:
    answer = await execute(client, mutation("signUp"), input={"email": "ada@example.com", "password": password})

    (error,) = answer["signUp"]["errors"]
    assert (error["code"], error["path"]) == ("INVALID", ["password"])
    assert error["message"].endswith(
        "is one of the most common passwords, which are guessed first: take several words instead"
    )
    assert await users(stores).count() == 0


async def test_a_password_longer_than_any_of_ours_may_still_be_one_of_the_original_service(
    passwords: Passwords,
) -> None:
    long = "x" * 2000
    stored = bcrypt.hashpw(long.encode()[:72], bcrypt.gensalt(4)).decode()

    verdict = await passwords.verify(long, stored)

    assert (verdict.right, verdict.new_hash) == (True, None)
    # argon2 hashes are of passwords that keep the rules, so what begins like one is none
    ours = await passwords.hash("y" * 256)
    assert not (await passwords.verify("y" * 256 + "\u0301" * 800, ours)).right
    assert not (await passwords.verify("y" * 257, ours)).right


@pytest.mark.parametrize("prefix", [b"2a", b"2b"])
async def test_a_bcrypt_hash_is_replaced_at_sign_in(stores: Stores, client: httpx.AsyncClient, prefix: bytes) -> None:
    stored = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4, prefix)).decode()
    user = await create_user(stores, email="ada@example.com", password_hash=stored)

    await refused(client, "signIn", email="ada@example.com", password="wrong password")
    assert await hash_of(stores, user.id) == stored
    await sign_in(client)

    replaced = await hash_of(stores, user.id)
    assert replaced.startswith("$argon2id$")
    await sign_in(client)
    assert await hash_of(stores, user.id) == replaced
    await refused(client, "signIn", email="ada@example.com", password="wrong password")


async def test_a_bcrypt_hash_may_be_kept_for_the_original_service(
    settings: Settings, stores: Stores, client: httpx.AsyncClient
) -> None:
    # given
    stored = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    user = await create_user(stores, email="ada@example.com", password_hash=stored)
    keeping = settings.model_copy(update={"keep_bcrypt_hashes": True})

    async with running(keeping) as (_, other):
        # when
        await sign_in(other)
        # then
        assert await hash_of(stores, user.id) == stored
        await refused(other, "signIn", email="ada@example.com", password="wrong password")

    # and when, then: another instance that doesn't keep them
    await sign_in(client)
    assert (await hash_of(stores, user.id)).startswith("$argon2id$")


async def test_what_the_original_service_accepted_is_accepted(passwords: Passwords) -> None:
    def original(password: str) -> str:
        return bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(4)).decode()

    as_php = original(PASSWORD).replace("$2b$", "$2y$", 1)
    assert (await passwords.verify(PASSWORD, as_php)).right
    # it did not normalise, read 72 bytes, and had no shortest length
    assert (await passwords.verify(DECOMPOSED, original(DECOMPOSED))).right
    assert not (await passwords.verify(COMPOSED, original(DECOMPOSED))).right
    assert (await passwords.verify("x" * 73, original("x" * 73))).right
    short = await passwords.verify("short", original("short"))
    assert short.right
    assert short.new_hash is not None
    assert (await passwords.verify("short", short.new_hash)).right


async def test_a_hash_with_older_parameters_is_replaced(stores: Stores, client: httpx.AsyncClient) -> None:
    stored = PasswordHasher(time_cost=2, memory_cost=64).hash(PASSWORD)
    user = await create_user(stores, email="ada@example.com", password_hash=stored)

    answers = await asyncio.gather(*(sign_in(client) for _ in range(2)))

    assert len({answer["refreshToken"] for answer in answers}) == 2
    assert (await hash_of(stores, user.id)).startswith("$argon2id$v=19$m=32,t=1,p=4$")
    await sign_in(client)


async def test_few_passwords_are_hashed_at_a_time(passwords: Passwords, monkeypatch: pytest.MonkeyPatch) -> None:
    held = threading.Event()
    running: list[None] = []
    most: list[int] = []

    def hold(self: PasswordHasher, *_: Any, **__: Any) -> str:
        running.append(None)
        most.append(len(running))
        held.wait(30)
        running.pop()
        return "x"

    monkeypatch.setattr(PasswordHasher, "hash", hold)
    async with anyio.create_task_group() as group:
        for number in range(THREADS + WAITING):
            group.start_soon(passwords.hash, PASSWORD, f"192.0.2.{number // WAITING_EACH}")
        await anyio.wait_all_tasks_blocked()
        # one more would wait too long, wherever it comes from
        with pytest.raises(RateLimited) as caught:
            await passwords.hash(PASSWORD, "198.51.100.1")
        held.set()

    assert caught.value.extensions == {"code": "RATE_LIMITED", "retryAfter": 2}
    assert max(most) == THREADS


async def test_failures_of_an_account_are_limited(stores: Stores, strict: httpx.AsyncClient) -> None:
    await sign_up(coming_from(strict, "192.0.2.1"))
    strangers = [coming_from(strict, f"192.0.2.{number}") for number in range(10, 20)]

    for stranger in strangers[:3]:
        await refused(stranger, "signIn", email="ada@example.com", password="wrong password")

    # whoever asks, and whatever the case of the email
    assert await limited(strangers[3], "ada@example.com", "wrong password")
    assert await limited(strangers[4], " ADA@example.com", PASSWORD)
    # other accounts are not concerned, known or not
    await refused(strangers[5], "signIn", email="bob@example.com", password="wrong password")


async def test_an_account_that_is_not_there_is_limited_alike(strict: httpx.AsyncClient) -> None:
    for number in range(3):
        stranger = coming_from(strict, f"192.0.2.{number}")
        await refused(stranger, "signIn", email="nobody@example.com", password="wrong password")

    assert await limited(coming_from(strict, "192.0.2.9"), "nobody@example.com", "wrong password")


async def test_an_attacker_does_not_lock_the_owner_out(strict: httpx.AsyncClient) -> None:
    home = coming_from(strict, "192.0.2.1")
    answer = await sign_up(home)
    await sign_in(home)
    for number in range(10, 13):
        stranger = coming_from(strict, f"192.0.2.{number}")
        await refused(stranger, "signIn", email="ada@example.com", password="wrong password")
    assert await limited(coming_from(strict, "192.0.2.13"), "ada@example.com", PASSWORD)

    # where they usually are they sign in, and a session goes on wherever it is
    await sign_in(home)
    await mutate(coming_from(strict, "198.51.100.1"), "refreshSession", refreshToken=answer["refreshToken"])
    # not that this lets the neighbours guess for ever
    for _ in range(3):
        await refused(home, "signIn", email="ada@example.com", password="wrong password")
    assert await limited(home, "ada@example.com", PASSWORD)


async def test_signing_in_well_is_no_failure(strict: httpx.AsyncClient) -> None:
    await sign_up(coming_from(strict, "192.0.2.1"))

    for number in range(2, 8):
        await sign_in(coming_from(strict, f"192.0.2.{number}"))


async def test_sign_ins_from_an_address_are_limited(strict: httpx.AsyncClient) -> None:
    mine, others = coming_from(strict, "203.0.113.7"), coming_from(strict, "203.0.113.8")
    for number in range(8):
        await refused(mine, "signIn", email=f"{number}@example.com", password="wrong password")

    assert await limited(mine, "another@example.com", PASSWORD)
    body = await respond(mine, mutation("signUp"), input={"email": "ada@example.com", "password": PASSWORD})
    assert [error["extensions"]["code"] for error in body["errors"]] == ["RATE_LIMITED"]
    await sign_up(others)


async def test_a_stolen_session_does_not_guess_the_password(strict: httpx.AsyncClient) -> None:
    answer = await sign_up(coming_from(strict, "192.0.2.1"))
    for number in range(3):
        thief = with_token(coming_from(strict, ""), answer["accessToken"])
        thief.headers["x-forwarded-for"] = f"192.0.2.{number + 10}"
        await refused(thief, "changePassword", currentPassword="wrong password", newPassword="another password")

    thief.headers["x-forwarded-for"] = "192.0.2.20"
    body = await respond(
        thief, mutation("changePassword"), input={"currentPassword": PASSWORD, "newPassword": "another password"}
    )
    assert [error["extensions"]["code"] for error in body["errors"]] == ["RATE_LIMITED"]
    await sign_in(coming_from(strict, "192.0.2.1"))


def test_the_window_moves() -> None:
    attempts = Attempts(Rate(2, 1))
    attempts.take("x")
    taken = attempts.take("x")
    with pytest.raises(RateLimited) as caught:
        attempts.take("x")
    assert caught.value.extensions["retryAfter"] == 1

    attempts.give_back("x", taken)
    attempts.take("x")
    attempts.take("y")
    with pytest.raises(RateLimited):
        attempts.take("x")


def test_quiet_keys_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("api.accounts.attempts.time.monotonic", lambda: now[0])
    attempts = Attempts(Rate(2, 60))
    for number in range(1000):
        attempts.take(number)
    assert len(attempts) == 1000
    now[0] += 7
    attempts.take(999)
    now[0] += 7
    with pytest.raises(RateLimited) as caught:
        attempts.take(999)
    assert caught.value.extensions["retryAfter"] == 46

    now[0] += 60
    for number in range(2000, 2500):
        attempts.take(number)
    assert len(attempts) == 500


async def test_however_many_come_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.accounts.attempts.KEPT", 100)
    monkeypatch.setattr("api.accounts.sign_in_limits.KNOWN_ADDRESSES", 100)
    attempts = Attempts(Rate(5, 3600))
    for number in range(1000):
        attempts.take(number)
    assert len(attempts) == 100

    limits = SignInLimits(Settings(_env_file=None, sign_in_limit_account="5/hour", sign_in_limit_address="5/hour"))
    for number in range(1000):
        async with limits.attempt(f"{number}@example.com", "192.0.2.1"):
            pass
    assert len(limits._known_addresses) == 100


@pytest.mark.parametrize("rate", ["often", "10", "x/minute", "10/fortnight"])
def test_a_rate_that_is_none_is_named(rate: str) -> None:
    with pytest.raises(ConfigurationError, match=r'^SIGN_IN_LIMIT_ACCOUNT: must be a rate such as "10/minute"'):
        load_settings(sign_in_limit_account=rate)
