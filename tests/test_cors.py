"""Pages of other origins: what browsers are told, by the setting CORS_ORIGINS."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import httpx
import pytest

from api.app import create_app
from api.config import ConfigurationError, Settings, load_settings

pytestmark = pytest.mark.anyio

SHOP = "https://shop.example"
QUERY = {"query": "{ viewer { id } }"}
ASKED = {
    "origin": SHOP,
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization, content-type, idempotency-key",
}

Serve = Callable[[str], AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
def serve(settings: Settings, clean_stores: None) -> Serve:
    """A client of an application that allows these origins."""

    @asynccontextmanager
    async def serving(origins: str) -> AsyncIterator[httpx.AsyncClient]:
        app = create_app(settings.model_copy(update={"cors_origins": origins}))
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

    assert (preflight.status_code, told(preflight)) == (405, {})
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
    allowed = {name.strip() for name in told(preflight)["access-control-allow-headers"].lower().split(",")}
    assert {"authorization", "content-type", "idempotency-key", "x-request-id"} <= allowed
    for each in (answer, refused, health):
        assert told(each)["access-control-allow-origin"] == SHOP
        assert "X-Request-Id" in told(each)["access-control-expose-headers"]
    assert [part.strip().lower() for part in answer.headers["vary"].split(",")] == ["accept", "origin"]
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


async def test_everybody_may_be_allowed(serve: Serve) -> None:
    async with serve("*") as client:
        answer = await client.post("/graphql", json=QUERY, headers={"origin": SHOP})

    assert told(answer)["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("origins", ["shop.example", "https://shop.example/", "https://a.test,ftp://b.test", "null"])
def test_what_is_no_origin_is_refused(monkeypatch: pytest.MonkeyPatch, origins: str) -> None:
    monkeypatch.setenv("CORS_ORIGINS", origins)

    with pytest.raises(ConfigurationError, match="CORS_ORIGINS: must be \\* or origins"):
        load_settings()
