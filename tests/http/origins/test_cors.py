"""Pages of other origins: what browsers are told, by the setting CORS_ORIGINS."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import httpx
import pytest
import structlog

from api.config.settings import PRODUCTION_DEFAULTS, ConfigurationError, Settings, load_settings
from api.http.application import create_app

pytestmark = pytest.mark.anyio

SHOP = "https://shop.example"
QUERY = {"query": "{ viewer { id } }"}
ASKED = {
    "origin": SHOP,
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization, content-type, idempotency-key",
}

Serve = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
def serve(settings: Settings, clean_stores: None) -> Serve:
    """A client of an application that allows these origins, and these headers beside the usual ones."""

    @asynccontextmanager
    async def serving(origins: str, headers: str = "") -> AsyncIterator[httpx.AsyncClient]:
        app = create_app(settings.model_copy(update={"cors_origins": origins, "cors_headers": headers}))
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
                yield client

    return serving


def told(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control-")}


async def test_nobody_is_allowed_unless_named(serve: Serve) -> None:
    async with serve("") as client:
        preflight = await client.options("/graphql", headers=ASKED)
        answer = await client.post("/graphql", json=QUERY, headers={"origin": SHOP})

    assert (preflight.status_code, preflight.text) == (400, "Disallowed CORS origin")
    assert "access-control-allow-origin" not in preflight.headers
    assert (answer.status_code, told(answer)) == (200, {})


async def test_named_origins_are_allowed(serve: Serve) -> None:
    async with serve(f"http://localhost:3000, {SHOP}") as client:
        preflight = await client.options("/graphql", headers=ASKED)
        answer = await client.post("/graphql", json=QUERY, headers={"origin": SHOP})
        refused = await client.post("/graphql", content=b"nonsense", headers={"origin": SHOP})
        health = await client.get("/livez", headers={"origin": SHOP})

    assert preflight.status_code == 200
    assert told(preflight)["access-control-allow-origin"] == SHOP
    assert told(preflight)["access-control-allow-methods"] == "GET, POST"
    assert told(preflight)["access-control-max-age"] == "600"
    assert "access-control-allow-credentials" not in preflight.headers
    assert told(preflight)["access-control-allow-headers"] == ASKED["access-control-request-headers"]
    for each in (answer, refused, health):
        assert told(each)["access-control-allow-origin"] == SHOP
        assert "X-Request-Id" in told(each)["access-control-expose-headers"]
    assert [part.strip().lower() for part in answer.headers["vary"].split(",")] == [
        *("accept", "accept-encoding", "origin")
    ]
    assert (answer.status_code, answer.json()) == (200, {"data": {"viewer": None}})
    assert refused.status_code == 415


async def test_other_origins_are_not(serve: Serve) -> None:
    async with serve(SHOP) as client:
        other = {"origin": "https://shop.example.evil.test"}
        preflight = await client.options("/graphql", headers=ASKED | other)
        answer = await client.post("/graphql", json=QUERY, headers=other)

    assert preflight.status_code == 400
    assert "access-control-allow-origin" not in preflight.headers
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("http://localhost:3000", True),
        ("https://localhost", True),
        ("http://127.0.0.1:5173", True),
        ("http://[::1]:8080", True),
        ("http://localhost.evil.test", False),
        ("http://evil.test#localhost", False),
        ("http://127.0.0.1.evil.test:3000", False),
        ("http://localhost:3000.evil.test", False),
        ("file://localhost", False),
        ("null", False),
    ],
)
async def test_development_allows_what_this_machine_serves(serve: Serve, origin: str, allowed: bool) -> None:
    assert (Settings(_env_file=None).cors_origins, PRODUCTION_DEFAULTS["cors_origins"]) == ("localhost", "")
    async with serve("localhost") as client:
        preflight = await client.options("/graphql", headers=ASKED | {"origin": origin})
        answer = await client.post("/graphql", json=QUERY, headers={"origin": origin})

    assert preflight.status_code == (200 if allowed else 400)
    for each in (preflight, answer):
        assert each.headers.get("access-control-allow-origin") == (origin if allowed else None)


@pytest.mark.parametrize(
    ("names", "configured", "allowed"),
    [
        ("authorization, content-type, idempotency-key, x-request-id", "", True),
        ("x-requested-with,apollo-require-preflight", "", True),
        ("traceparent,tracestate,baggage", "", True),
        ("apollographql-client-name,apollographql-client-version", "", True),
        ("x-apollo-operation-name, x-apollo-operation-id", "", True),
        ("X-B3-TraceId", "", True),
        ("x-shop-version", "", False),
        ("x-shop-version", "X-Shop-*", True),
        ("x-shop-version", "x-shop", False),
        ("content-type,x-other", "x-shop-*", False),
        ("x-apollographql-client-name", "", False),
        ("traceparents", "", False),
        ("x-forwarded-for", "", False),
        ("content-type," + "x-apollo-a," * 500, "", False),
    ],
)
async def test_headers_are_allowed_by_name_and_pattern(
    serve: Serve, names: str, configured: str, allowed: bool
) -> None:
    async with serve(SHOP, configured) as client:
        preflight = await client.options("/graphql", headers=ASKED | {"access-control-request-headers": names})

    assert preflight.status_code == (200 if allowed else 400)
    if allowed:
        assert told(preflight)["access-control-allow-headers"] == names
    else:
        assert preflight.text == "Disallowed CORS headers"


async def test_a_refused_preflight_is_a_hint_in_the_log(serve: Serve) -> None:
    names = {"access-control-request-headers": "content-type, x-shop-version, x-shop-page"}
    with structlog.testing.capture_logs() as logs:
        async with serve(SHOP) as client:
            for _ in range(2):  # the second is told nothing new
                await client.options("/graphql", headers=ASKED | {"origin": "https://evil.test"})
                await client.options("/graphql", headers=ASKED | names)
                await client.options("/graphql", headers=ASKED | {"access-control-request-method": "DELETE"})
            await client.options("/graphql", headers=ASKED)

    assert [(log["origin"], log["reason"]) for log in logs if log["event"].startswith("preflight refused")] == [
        ("https://evil.test", "https://evil.test is not in CORS_ORIGINS"),
        (SHOP, "CORS_HEADERS does not have x-shop-version, x-shop-page"),
        (SHOP, "only GET and POST are for pages, not DELETE, nor is a private network"),
    ]


@pytest.mark.parametrize("names", ["x shop", "x-shop:", "x/shop"])
def test_what_is_no_header_is_refused(names: str) -> None:
    with pytest.raises(ConfigurationError, match="CORS_HEADERS: must be names of headers"):
        load_settings(cors_headers=names)


async def test_everybody_may_be_allowed(serve: Serve) -> None:
    async with serve("*") as client:
        answer = await client.post("/graphql", json=QUERY, headers={"origin": SHOP})

    assert told(answer)["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("origins", ["shop.example", "https://shop.example/", "https://a.test,ftp://b.test", "null"])
def test_what_is_no_origin_is_refused(monkeypatch: pytest.MonkeyPatch, origins: str) -> None:
    monkeypatch.setenv("CORS_ORIGINS", origins)

    with pytest.raises(ConfigurationError, match="CORS_ORIGINS: must be \\*, localhost or origins"):
        load_settings()
