"""Quotas of cost through HTTP: who is counted, what is charged and given back, and what a refusal says."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from api.config.settings import ConfigurationError, Settings, load_settings
from api.rates import counts
from api.rates.counts import MemoryCounts
from api.rates.meter import Meters
from api.rates.windows import Rate, Window
from api.stores.stores import Stores
from tests.support.applications import running
from tests.support.factories.catalog import create_catalog_item
from tests.support.graphql import sent
from tests.support.requests.rate_limits import ITEMS, TYPENAME, assert_refused, left, post
from tests.support.signing_in import client_of, signed_in

pytestmark = pytest.mark.anyio


async def test_at_the_limit_and_not_before_it_is_429(settings: Settings, clean_stores: None) -> None:
    async with running(settings, rate_limit_address="3/day") as (app, client):
        for expected in (2, 1, 0):
            response = await post(client, TYPENAME)
            assert (response.status_code, left(response)) == (200, expected)
            assert response.headers["ratelimit-policy"] == '"address";q=3;w=86400'
            assert "retry-after" not in response.headers
        for _ in range(2):
            with sent(app) as counted:
                response = await post(client, ITEMS)
            assert_refused(response)
            assert left(response) == 0
            assert counted.counts == (0, 0)


async def test_unused_cost_is_given_back(settings: Settings, stores: Stores) -> None:
    await create_catalog_item(stores, name="Silk")
    async with running(settings, rate_limit_address="1000/day", report_cost=True) as (_, client):
        first = await post(client, ITEMS)
        cost = first.json()["extensions"]["cost"]
        assert cost["requested"] > 50 > cost["actual"] > 0
        assert left(first) == 1000 - cost["actual"]
        assert left(await post(client, ITEMS)) == 1000 - 2 * cost["actual"]


async def test_what_an_operation_may_cost_must_be_left(settings: Settings, clean_stores: None) -> None:
    async with running(settings, rate_limit_address="60/day", report_cost=True) as (_, client):
        first = await post(client, ITEMS)
        cost = first.json()["extensions"]["cost"]
        remaining = 60 - cost["actual"]
        while remaining >= cost["requested"]:
            remaining = left(await post(client, ITEMS))

        assert_refused(await post(client, ITEMS))
        # what costs less still runs, and the refusal took a point
        assert left(await post(client, TYPENAME)) == remaining - 2


async def test_what_costs_more_than_the_quota_needs_all_of_it(settings: Settings, clean_stores: None) -> None:
    async with running(settings, rate_limit_address="10/day", report_cost=True) as (_, client):
        first = await post(client, ITEMS)
        assert first.status_code == 200
        assert left(first) == 10 - first.json()["extensions"]["cost"]["actual"]
        assert_refused(await post(client, ITEMS))


async def test_a_mutation_that_is_refused_changes_nothing(settings: Settings, stores: Stores) -> None:
    change = {"query": 'mutation { updateProfile(input: {firstName: "Ada"}) { user { firstName } errors { code } } }'}
    async with running(settings, rate_limit_user="100/day") as (_, client):
        me, user = await signed_in(client, stores, settings=settings, first_name="Grace")
        response = await post(me, change)
        assert response.json()["data"]["updateProfile"]["user"] == {"firstName": "Ada"}, response.text
        assert response.headers["ratelimit-policy"] == '"user";q=100;w=86400'
        while (response := await post(me, {"query": change["query"].replace("Ada", "Joan")})).status_code == 200:
            assert left(response) < 100
        assert_refused(response)
        again = await post(me, {"query": change["query"].replace("Ada", "Mary")})
        assert again.status_code == 429
    async with stores.sessions() as session:
        assert (await session.get_one(type(user), user.id)).first_name == "Joan"


async def test_accounts_and_addresses_are_counted_apart(settings: Settings, stores: Stores) -> None:
    changes = {"rate_limit_user": "2/day", "rate_limit_address": "1/day", "trusted_proxies": "127.0.0.1"}
    async with running(settings, **changes) as (_, client):
        ada, account = await signed_in(client, stores, settings=settings)
        # two sessions of one account, from wherever they are
        other = await client_of(client, stores, account, settings=settings)
        assert left(await post(ada, TYPENAME, **{"x-forwarded-for": "192.0.2.1"})) == 1
        assert left(await post(other, TYPENAME, **{"x-forwarded-for": "192.0.2.2"})) == 0
        assert_refused(await post(other, TYPENAME))
        grace, _ = await signed_in(client, stores, settings=settings)
        assert left(await post(grace, TYPENAME)) == 1
        # behind the proxy everybody has an address of their own; of IPv6 it is the network that is theirs
        for address in ("192.0.2.1", "192.0.2.2", "2001:db8:0:1::1", "2001:db8:0:2::1"):
            assert left(await post(client, TYPENAME, **{"x-forwarded-for": address})) == 0
        for address in ("198.51.100.1, 192.0.2.1", "2001:db8:0:1::2"):
            assert_refused(await post(client, TYPENAME, **{"x-forwarded-for": address}))


async def test_a_batch_draws_on_one_quota(settings: Settings, clean_stores: None) -> None:
    async with running(settings, rate_limit_address="2/day") as (_, client):
        response = await post(client, [TYPENAME] * 3)
        assert response.status_code == 200
        runs = {"data": {"__typename": "Query"}}
        bodies = [{name: body[name] for name in body if name != "extensions"} for body in response.json()]
        assert bodies[:2] == [runs, runs]
        assert bodies[2]["errors"][0]["extensions"]["code"] == "RATE_LIMITED"
        assert left(response) == 0
        refused = await post(client, [TYPENAME] * 2)
        assert refused.status_code == 429
        assert refused.json()["errors"][0]["extensions"]["code"] == "RATE_LIMITED"


@pytest.mark.parametrize(
    "body",
    [
        {"query": "{ nothing }"},
        {"query": "{"},
        {"query": " "},
        {"documentId": "unknown"},
        {"query": "query ($f: Int!) { users(first: $f) { nodes { id } } }"},
    ],
)
async def test_what_is_refused_costs_the_least(settings: Settings, clean_stores: None, body: Any) -> None:
    async with running(settings, rate_limit_address="1000/day") as (_, client):
        assert 900 < left(await post(client, body)) < 1000


JSON = {"content-type": "application/json"}
WASTED: dict[str, tuple[int, dict[str, Any]]] = {
    "a bad token": (401, {"json": TYPENAME, "headers": {"authorization": "Bearer x"}}),
    "no token": (401, {"json": TYPENAME, "headers": {"authorization": "Basic x"}}),
    "no JSON": (400, {"content": "{", "headers": JSON}),
    "no object": (400, {"json": 5}),
    "no batch": (400, {"json": []}),
    "another type": (415, {"content": "{}", "headers": {"content-type": "text/plain"}}),
    "an encoding": (415, {"content": "x", "headers": JSON | {"content-encoding": "gzip"}}),
    "too much": (413, {"content": "x", "headers": JSON | {"content-length": "99999999"}}),
    "another method": (405, {"method": "PUT", "json": TYPENAME}),
    "no answer will do": (406, {"json": TYPENAME, "headers": {"accept": "text/plain"}}),
    "a form's GET": (400, {"method": "GET", "params": TYPENAME}),
}


async def test_what_fails_early_is_counted_by_address(settings: Settings, stores: Stores) -> None:
    async with running(settings, rate_limit_address="100/day") as (app, client):
        remaining = 100
        for status, given in WASTED.values():
            response = await client.request(**{"method": "POST", "url": "/graphql"} | given)
            remaining -= 1
            assert (response.status_code, left(response)) == (status, remaining), given
        # somebody with an account but without a quota wastes their address's, and draws on none with what runs
        me, _ = await signed_in(client, stores, settings=settings)
        assert left(await post(me, [])) == remaining - 1
        assert "ratelimit" not in (await post(me, TYPENAME)).headers
        # what is read costs more, the more it is, whether it can be used or not
        remaining = left(await client.post("/graphql", content=b"x" * 40_960, headers=JSON))
        assert remaining == 100 - len(WASTED) - 1 - 1 - 10
        assert left(await post(client, TYPENAME | {"x": "y" * 8192})) == remaining - 1 - 2
        # and what doesn't fit into what is left takes all of it
        assert left(await client.post("/graphql", content=b"x" * 400_000, headers=JSON)) == 0

        for authorization in ([], [(b"authorization", b"Bearer x")]):
            assert await status_unread(app, authorization) == 429
        assert (await post(me, TYPENAME)).status_code == 200


async def status_unread(app: Starlette, headers: list[tuple[bytes, bytes]]) -> int:
    """The status of a POST whose body must not be read."""
    answer: list[Any] = []

    async def receive() -> Any:
        raise AssertionError("the body is read")

    async def send(message: Any) -> None:
        answer.append(message)

    scope = {"type": "http", "method": "POST", "path": "/graphql", "query_string": b"", "client": ("127.0.0.1", 1)}
    await app(scope | {"headers": [(b"content-type", b"application/json"), *headers]}, receive, send)
    status: int = answer[0]["status"]
    return status


async def test_a_session_that_has_ended_wastes_the_quota_of_its_account(settings: Settings, stores: Stores) -> None:
    async with running(settings, rate_limit_user="50/day", rate_limit_address="1/day") as (_, client):
        me, _ = await signed_in(client, stores, settings=settings)
        await post(me, {"query": "mutation { signOut(input: {}) { errors { code } } }"})
        before = left(await post(me, TYPENAME))
        response = await post(me, TYPENAME)
        assert (response.status_code, left(response)) == (401, before - 1)
        assert response.headers["ratelimit-policy"] == '"user";q=50;w=86400'


async def test_without_limits_there_are_no_headers(client: httpx.AsyncClient) -> None:
    response = await post(client, TYPENAME)
    assert not [name for name in response.headers if name.startswith("ratelimit")]


def test_windows_begin_at_moments_of_their_own_and_follow_each_other() -> None:
    rate = Rate(10, 60)
    keys = [f"user:{number}" for number in range(100)]
    assert len({Window.of(key, rate, 1_000_000.0).closes for key in keys}) > 30
    for key in keys:
        window = Window.of(key, rate, 1_000_000.0)
        assert 1_000_000.0 < window.closes <= 1_000_060.0
        assert Window.of(key, rate, window.closes - 0.001) == window
        after = Window.of(key, rate, window.closes)
        assert (after.name != window.name, after.closes) == (True, window.closes + 60)


async def test_what_is_charged_at_once_counts_in_the_window_that_is_open(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the one who charges was there in the window before; all of an address share it."""
    now = [1_000_000.0]
    monkeypatch.setattr("api.rates.meter.time.time", lambda: now[0])
    meters = Meters(settings.model_copy(update={"rate_limit_address": "10/minute"}), MemoryCounts())
    one, other = meters.of(None, "192.0.2.1"), meters.of(None, "192.0.2.1")
    assert one is not None
    assert other is not None
    assert one.charge_at_once(6)
    assert not other.charge_at_once(6)

    now[0] += 60

    assert one.charge_at_once(6)
    assert not other.charge_at_once(6)
    assert other.charge_at_once(4)


async def test_counts_in_memory_end_and_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("api.rates.counts.time.monotonic", lambda: now[0])
    monkeypatch.setattr(counts, "KEPT", 100)
    memory = MemoryCounts()
    assert [await memory.incr("a", 60, amount) for amount in (5, 3, -8)] == [5, 8, 0]
    now[0] += 60
    assert await memory.incr("a", 60, 2) == 2
    for number in range(1000):
        await memory.incr(str(number), 60, 1)
    assert len(memory) == 100
    now[0] += 60
    for number in range(60):
        await memory.incr(f"later {number}", 60, 1)
    assert len(memory) == 60


@pytest.mark.parametrize("name", ["rate_limit_user", "rate_limit_address"])
def test_a_rate_that_is_none_is_named(name: str) -> None:
    with pytest.raises(ConfigurationError, match=rf'^{name.upper()}: must be a rate such as "10/minute"'):
        load_settings(**{name: "often"})
    assert Settings(_env_file=None).rate_limit_user == "off"


def test_a_redis_has_a_scheme() -> None:
    with pytest.raises(ConfigurationError, match=r"^REDIS_URL: must start with redis://"):
        load_settings(redis_url="http://localhost")
