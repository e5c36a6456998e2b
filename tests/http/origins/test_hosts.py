"""By which names the server answers, and that what it answers names none."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import structlog

from api.config.settings import ConfigurationError, Settings, load_settings
from tests.support.applications import running

pytestmark = pytest.mark.anyio

QUERY = {"query": "{ __typename }"}


async def status(client: httpx.AsyncClient, host: str, path: str = "/graphql") -> int:
    return (await client.post(path, json=QUERY, headers={"host": host})).status_code


async def test_development_answers_to_names_of_this_machine(settings: Settings, clean_stores: None) -> None:
    """A name that somebody else makes lead here (DNS rebinding) is none; an address can't be made to."""
    async with running(settings, explorer=True) as (_, client):
        for host in ("localhost", "LOCALHOST:8000", "app.localhost:3000", "127.0.0.1", "192.168.1.20:8000", "[::1]:80"):
            assert await status(client, host) == 200, host
        with structlog.testing.capture_logs() as logs:
            for host in (
                *(
                    "evil.example",
                    "evil.example:8000",
                    "localhost.evil.example",
                    "127.0.0.1.evil.example",
                    "notlocalhost",
                ),
                *(
                    "localhost@evil.example",
                    "localhost:80:80",
                    "[evil.example]",
                    "",
                    "x" * 300,
                    "localhost" + "x" * 300,
                ),
            ):
                assert await status(client, host) == 421, host
            page = await client.get("/graphql", headers={"host": "evil.example", "accept": "text/html"})
            for path in ("/health/database", "/health", "/metrics", "/nothing"):
                assert await status(client, "other.example", path) == 421
        assert page.status_code == 421
        assert page.json() == {
            "errors": [
                {
                    "message": "This server does not answer to evil.example: ALLOWED_HOSTS does not have it.",
                    "extensions": {"code": "BAD_REQUEST"},
                }
            ]
        }
        refused = [line["host"] for line in logs if line["event"] == "host refused"]
        assert refused.count("evil.example") == 1
        # probes come by whatever name there is
        for path in ("/livez", "/readyz"):
            assert (await client.get(path, headers={"host": "pod.example"})).status_code == 200


async def test_hosts_are_those_of_the_setting(settings: Settings, clean_stores: None) -> None:
    async with running(settings, allowed_hosts="API.example.com, *.example.org,[::1]") as (_, client):
        for host in ("api.example.com", "api.example.com.:443", "a.b.example.org", "[::1]:8000"):
            assert await status(client, host) == 200, host
        for host in ("example.com", "example.org", "badexample.org", "localhost", "127.0.0.1", "[::2]"):
            assert await status(client, host) == 421, host
        # a second one doesn't hide behind the first
        two: Any = [("host", "api.example.com"), ("host", "evil.example")]
        assert (await client.post("/graphql", json=QUERY, headers=two)).status_code == 421
    async with running(settings, allowed_hosts="*") as (_, client):
        assert await status(client, "whatever.example") == 200


@pytest.mark.parametrize(
    "hosts", ["https://api.example.com", "api.example.com:443", "a b", "*.*", "::1", "exämple.com"]
)
def test_hosts_that_are_none_are_named(hosts: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^ALLOWED_HOSTS: must be names without port, such as "):
        load_settings(allowed_hosts=hosts)


async def test_nothing_is_redirected_to_a_scheme_or_name(settings: Settings, clean_stores: None) -> None:
    """Behind a proxy with TLS both are others than here."""
    async with running(settings, explorer=True) as (_, client):
        assert (await client.post("/graphql/", json=QUERY)).json() == {"data": {"__typename": "Query"}}
        assert (await client.options("/graphql/")).status_code == (await client.options("/graphql")).status_code == 405
        for path in ("/livez/", "/readyz/", "/health/", "/health/database/"):
            assert (await client.get(path)).status_code == 200, path
        for path in ("/", "//", "/graphql//", "//graphql", "/nothing/", "/" * 60_000):
            assert (await client.get(httpx.URL("http://127.0.0.1:8000", raw_path=path.encode()))).status_code == 404

        # the explorer's page has addresses beside it
        page = await client.get("/graphql/?query=%7Ba%7D", headers={"accept": "text/html"})
        assert (page.status_code, page.headers["location"]) == (307, "../graphql?query=%7Ba%7D")
        assert (await client.get("/graphql/", headers={"accept": "text/html"})).headers["location"] == "../graphql"
