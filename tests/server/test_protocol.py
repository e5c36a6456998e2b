"""What a client may send over a connection, how long it may take, and how many connections there may be."""

from __future__ import annotations

import asyncio

import pytest
import structlog
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from api.config.settings import Settings
from api.http.application import create_app
from tests.support.applications import listening, running
from tests.support.requests.connections import LIVE, STORELESS, answer_to, connected, until

pytestmark = pytest.mark.anyio

POST = b"POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
CHUNKED = POST + b"transfer-encoding: chunked\r\n\r\n"
QUERY = b'{"query": "{ __typename }"}'
ANSWER = b'{"data":{"__typename":"Query"}}'
LATE, LARGE = b"HTTP/1.1 408 Request Timeout\r\n", b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
REST = b"content-length: 0\r\nconnection: close\r\n\r\n"


class Headers:
    """An application that keeps the headers as they are once the body has come."""

    def __init__(self, settings: Settings) -> None:
        self.state = create_app(settings).state
        self.seen: list[tuple[bytes, bytes]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        while (message := await receive()).get("more_body"):
            pass
        if message["type"] == "http.disconnect":
            return
        self.seen = list(scope["headers"])
        headers = [(b"connection", b"close"), (b"content-length", b"4")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"seen"})


async def test_trailers_are_dropped_and_bounded() -> None:
    app = Headers(STORELESS)
    begin, chunk, end = CHUNKED + b"4\r\nbody\r\n", b"4\r\nbody\r\n", b"0\r\n"
    async with listening(app) as port:
        # a few are, whatever they say
        answer = await answer_to(port, begin, end, b"x-forwarded-for: 192.0.2.1\r\nauthorization: x\r\n\r\n")
        assert answer.endswith(b"seen")
        assert app.seen == [
            (b"host", b"localhost"),
            (b"content-type", b"application/json"),
            (b"transfer-encoding", b"chunked"),
        ]

        # many, a long one, and what stands beside the sizes of chunks are not read to their end
        app.seen = []
        for many in ([b"a:b\r\n" * 10_000] * 100, [b"a:", *[b"b" * 65536] * 100]):
            assert await answer_to(port, begin, end, *many) in (LARGE + REST, b"")
        assert await answer_to(port, begin, *[b"4;a=" + b"b" * 4000 + b"\r\nbody\r\n"] * 1000) in (LARGE + REST, b"")
        assert app.seen == []

        # a body in small parts is a body
        assert (await answer_to(port, CHUNKED, chunk * 5000, end + b"\r\n")).endswith(b"seen")


async def test_a_head_has_a_size_and_a_number_of_headers() -> None:
    head = b"GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
    async with listening(create_app(STORELESS.model_copy(update={"max_head_size": 4096}))) as port:
        for much in (b"", b"a:b\r\n" * 198, b"a: " + b"b" * 4000 + b"\r\n"):
            assert (await answer_to(port, head + much + b"\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")
        for more in (b"a:b\r\n" * 199, b"a: " + b"b" * 4100 + b"\r\n"):
            assert await answer_to(port, head + more + b"\r\n") == LARGE + REST
            assert await answer_to(port, head + more + b"b:") == LARGE + REST
        # and what came along with it is no part of it
        post = head.replace(b"GET", b"POST") + b"content-length: 27000\r\n\r\n" + QUERY * 1000
        assert (await answer_to(port, post)).startswith(b"HTTP/1.1 405 Method Not Allowed\r\n")


UNENDED = {
    "nothing": [],
    "a line": [b"\r\n"],
    "a head": [b"GET /livez HTTP/1.1\r\n"],
    "no body": [POST + b"content-length: 27\r\n\r\n"],
    "no body that was asked for": [POST + b"expect: 100-continue\r\ncontent-length: 27\r\n\r\n"],
    "a part of a body": [POST + b"content-length: 27\r\n\r\n", QUERY[:-1]],
    "no chunk": [CHUNKED],
    "a trailer": [CHUNKED, b"1b\r\n" + QUERY + b"\r\n0\r\nx-trailer: "],
}


async def test_a_request_that_does_not_end_is_not_waited_for(settings: Settings, clean_stores: None) -> None:
    changes = {"head_timeout": 0.2, "body_timeout": 0.2}
    async with running(settings, **changes) as (app, _), listening(app) as port:
        answers = await asyncio.gather(*(answer_to(port, *parts) for parts in UNENDED.values()))
        found = dict(zip(UNENDED, answers, strict=True))
        asked_for = found.pop("no body that was asked for")
        assert asked_for == b"HTTP/1.1 100 Continue\r\n\r\n" + LATE + REST
        assert found == dict.fromkeys(found, LATE + REST)

        # nor is the next one, after the answer to the one before
        two = await answer_to(port, LIVE + LIVE[:-2])
        assert two.startswith(b"HTTP/1.1 200 OK\r\n")
        assert two.endswith(b"}" + LATE + REST)


async def test_a_deadline_is_not_put_off_by_what_comes() -> None:
    """Neither by the parts of a body, nor by its head: one deadline is for all of a request."""
    app = Headers(STORELESS.model_copy(update={"head_timeout": 30.0, "body_timeout": 0.3}))
    async with listening(app) as port, connected(port) as client:
        await client.send(POST)
        await client.send(b"transfer-encoding: chunked\r\n\r\n")
        reading = asyncio.create_task(client.everything())
        while not reading.done():
            await client.send(b"1\r\nx\r\n")
            await asyncio.wait({reading}, timeout=0.01)
        assert reading.result() in (LATE + REST, b"")  # nothing where it was reset, as it went on sending
    assert app.seen == []


async def test_a_body_that_nobody_reads_has_the_same_deadline() -> None:
    app = create_app(STORELESS.model_copy(update={"body_timeout": 0.2}))
    async with listening(app) as port:
        answer = await answer_to(port, b"POST /livez HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 405 Method Not Allowed\r\n")
        assert LATE not in answer


async def test_what_follows_a_request_is_answered_after_it(settings: Settings, clean_stores: None) -> None:
    """Requests may be sent ahead, some of them."""
    post = POST + b"content-length: %d\r\n\r\n" % len(QUERY) + QUERY
    async with running(settings) as (app, _), listening(app) as port:
        async with connected(port) as client:
            await client.send(post * 10)
            for _ in range(10):
                await client.until(ANSWER)
        assert await answer_to(port, LIVE * 10_000) == b"HTTP/1.1 429 Too Many Requests\r\n" + REST


async def test_an_address_has_its_most_connections() -> None:
    changes = {"max_connections_per_address": 2, "head_timeout": 30.0}
    app = create_app(STORELESS.model_copy(update=changes))
    refused = b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\n" + REST
    with structlog.testing.capture_logs() as logs:
        async with listening(app) as port:
            async with connected(port) as first, connected(port) as second:
                for client in (first, second):
                    await client.send(LIVE)
                    await client.until(b"}")
                assert await answer_to(port) == refused
                assert await answer_to(port) == refused
                # whoever is there stays, and who leaves makes room
                await first.send(LIVE)
                await first.until(b"}")
                second.leave()
                await until(lambda: len(app.state.peers) == 1)
                async with connected(port) as third:
                    await third.send(LIVE)
                    await third.until(b"}")
            await until(lambda: len(app.state.peers) == 0)
    (line,) = [each for each in logs if each["event"] == "connections refused"]
    assert (line["limit"], line["address"]) == ("MAX_CONNECTIONS_PER_ADDRESS", "127.0.0.1")


async def test_a_trusted_proxy_may_have_more() -> None:
    app = create_app(STORELESS.model_copy(update={"max_connections_per_address": 1, "trusted_proxies": "127.0.0.0/8"}))
    async with listening(app) as port, connected(port), connected(port) as second:
        await second.send(LIVE)
        await second.until(b"}")


async def test_who_waits_longest_makes_room() -> None:
    app = Waiting(create_app(STORELESS.model_copy(update={"max_connections": 3, "head_timeout": 30.0})))
    async with (
        listening(app) as port,
        connected(port) as first,
        connected(port) as second,
        connected(port) as third,
    ):
        # given: one that has asked of late, one that is being answered, and one that has asked nothing
        await until(lambda: len(app.state.peers) == 3)
        await second.send(b"GET /wait HTTP/1.1\r\nhost: localhost\r\n\r\n")
        await until(lambda: app.waits)
        await first.send(LIVE)
        await first.until(b"}")

        async with connected(port) as fourth:
            await fourth.send(LIVE)
            await fourth.until(b"}")
            assert await third.everything() == b""
            async with connected(port) as fifth:
                await fifth.send(b"GET /wait HTTP/1.1\r\nhost: localhost\r\n\r\n")
                assert await first.everything() == b""
                await until(lambda: app.waits == 2)

                # then: where nobody waits, who comes is turned away
                await fourth.send(b"GET /wait HTTP/1.1\r\nhost: localhost\r\n\r\n")
                await until(lambda: app.waits == 3)
                assert await answer_to(port) == b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\n" + REST
                app.go_on.set()
                for client in (second, fourth, fifth):
                    await client.until(b"waited")


class Waiting:
    """An application whose `/wait` answers when it may."""

    def __init__(self, app: Starlette) -> None:
        self.app, self.state = app, app.state
        self.go_on, self.waits = asyncio.Event(), 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != "/wait":
            await self.app(scope, receive, send)
            return
        self.waits += 1
        await self.go_on.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"6")]})
        await send({"type": "http.response.body", "body": b"waited"})
