"""What a WebSocket's client may send, byte by byte: who breaks the rules is told the code, and never just cut off."""

from __future__ import annotations

import zlib

import anyio
import pytest
from starlette.applications import Starlette

from api.http.application import create_app
from api.server import socket_protocol
from tests.support.applications import listening
from tests.support.requests.connections import STORELESS, answer_to, connected, until
from tests.support.requests.sockets import (
    BINARY,
    CLOSE,
    CONTINUATION,
    HANDSHAKE,
    PING,
    PONG,
    TEXT,
    close_of,
    frame,
    upgraded,
)

pytestmark = pytest.mark.anyio

INIT = b'{"type":"connection_init"}'


def app_of(**changes: object) -> Starlette:
    """An application without stores: an anonymous socket needs none."""
    app = create_app(STORELESS.model_copy(update={"max_body_size": 1024, **changes}))
    app.state.stores = None
    return app


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        pytest.param([frame(TEXT, b"{")], 4400, id="no JSON"),
        pytest.param([frame(BINARY, INIT)], 4400, id="bytes"),
        pytest.param([frame(TEXT, b"\xff")], 1007, id="no UTF-8"),
        pytest.param([frame(TEXT, b"\xff", fin=False), frame(CONTINUATION, b"\xff")], 1007, id="no UTF-8 in parts"),
        pytest.param([frame(TEXT, b"x" * 1025)], 1009, id="too large"),
        pytest.param([frame(TEXT, size=2**62)], 1009, id="much too large, it says"),
        pytest.param([frame(TEXT, b"x" * 1000, fin=False), frame(CONTINUATION, b"x" * 25)], 1009, id="in parts"),
        pytest.param([frame(TEXT, fin=False), *[frame(CONTINUATION, fin=False)] * 1001], 1009, id="in too many parts"),
        pytest.param([frame(CONTINUATION, b"x")], 1002, id="a part of nothing"),
        pytest.param([frame(TEXT, b"x", fin=False), frame(TEXT, b"x")], 1002, id="one inside another"),
        pytest.param([frame(3, b"x")], 1002, id="unknown opcode"),
        pytest.param([frame(PING, b"x" * 126)], 1002, id="a long ping"),
        pytest.param([frame(PING, b"x", fin=False)], 1002, id="a ping in parts"),
        pytest.param([b"\x81\x02{}"], 1002, id="not masked"),
        pytest.param([frame(CLOSE, b"x")], 1002, id="half a code"),
        pytest.param([frame(CLOSE, b"\x03\xed")], 1002, id="a code that nobody may send"),
        pytest.param([frame(TEXT, zlib.compress(b"x" * 10**6), reserved=4)], 1002, id="a compressed bomb"),
        pytest.param([frame(CLOSE, b"\x03\xe8")], 1000, id="a farewell"),
    ],
)
async def test_a_broken_frame_has_its_code(frames: list[bytes], code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the client goes on sending as if nothing was: it reads the code first."""
    monkeypatch.setattr(socket_protocol, "_CLOSING", 1.0)  # so long it is waited for, as it doesn't say farewell itself
    async with listening(app_of()) as port:
        async with upgraded(port) as client:
            await client.send(*frames)
            assert close_of(await client.everything()) == code
        async with upgraded(port) as client:
            await client.send(*frames, *[frame(PING, b"x" * 100)] * 1000)
            assert close_of(await client.everything()) == code


async def test_compression_is_not_agreed_on() -> None:
    async with listening(app_of()) as port, connected(port) as client:
        offer = b"sec-websocket-extensions: permessage-deflate; client_max_window_bits\r\n"
        await client.send(HANDSHAKE + b"sec-websocket-protocol: graphql-transport-ws\r\n" + offer + b"\r\n")
        answer = await client.until(b"\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 101")
    assert b"extensions" not in answer.lower()


async def test_a_message_in_parts_is_put_together() -> None:
    async with listening(app_of()) as port, upgraded(port) as client:
        await client.send(frame(TEXT, INIT[:5], fin=False), frame(PING, b"a"), frame(CONTINUATION, INIT[5:]))

        assert await client.until(b"}") == b'\x8a\x01a\x81\x19{"type":"connection_ack"}'


async def test_pongs_do_not_pile_up_for_a_client_that_does_not_read() -> None:
    """It isn't read from until it reads: its pings wait in its own memory, and are dropped with the connection."""
    app = app_of(send_timeout=0.5)
    async with listening(app) as port, upgraded(port) as client:
        pings = frame(PING, b"x" * 125) * 1000
        with anyio.move_on_after(20):
            for _ in range(1000):  # 130 MB of them
                await client.send(pings)
                if not len(app.state.peers):
                    break
        await until(lambda: not len(app.state.peers))


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (HANDSHAKE.replace(b"13", b"12"), b"400"),
        (HANDSHAKE.replace(b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n", b""), b"400"),
        (HANDSHAKE.replace(b"GET", b"POST"), b"405"),
        (HANDSHAKE + b"x-long: " + b"x" * 10_000 + b"\r\n", b"431"),
        (HANDSHAKE + b"a: b\r\n" * 150, b"431"),
        (HANDSHAKE.replace(b"/graphql", b"/graphql?" + b"x" * 10_000), b"414"),
    ],
)
async def test_a_bad_handshake_is_answered(head: bytes, status: bytes) -> None:
    async with listening(app_of()) as port:
        answer = await answer_to(port, head + b"\r\n")

    assert answer.startswith(b"HTTP/1.1 " + status), answer


async def test_sockets_are_counted_as_connections_until_they_end() -> None:
    app = app_of(max_connections=1)
    async with listening(app) as port:
        async with upgraded(port) as client:
            await client.send(frame(TEXT, INIT))
            await client.until(b"}")
            assert len(app.state.peers) == 1
            # it isn't closed for another connection, as one that waits would be
            assert (await answer_to(port, b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n")).startswith(
                b"HTTP/1.1 503"
            )
            await client.send(frame(TEXT, b'{"type":"ping"}'))
            await client.until(b'"pong"}')
        await until(lambda: not len(app.state.peers))


async def test_an_upgrade_waits_for_no_earlier_request() -> None:
    """A connection that is still being answered doesn't become a socket: its request is answered as any other."""
    first = b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n"
    async with listening(app_of()) as port, connected(port) as client:
        await client.send(first + HANDSHAKE + b"\r\n")
        answer = await client.until(b"\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("opcode", [PONG, PING])
async def test_control_frames_are_nothing_for_the_application(opcode: int) -> None:
    async with listening(app_of()) as port, upgraded(port) as client:
        await client.send(frame(opcode, b"x"), frame(TEXT, INIT))

        assert (await client.until(b"}")).endswith(b'{"type":"connection_ack"}')
