"""A TCP proxy before a store: a network that refuses, stalls, resets and breaks off when a test says so."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from pydantic import SecretStr

HOST = "127.0.0.1"


class Proxy:
    """Passes bytes on between clients of `port` and a server on `upstream`, in the event loop of the test."""

    def __init__(self, upstream: int) -> None:
        self.upstream = upstream
        self.port = 0
        self.accepted = 0
        self._server: asyncio.Server | None = None
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._answering = asyncio.Event()
        self._answering.set()
        self._open: set[asyncio.StreamWriter] = set()
        self._handlers: set[asyncio.Task[None]] = set()
        self._cut: bytes | None = None
        self.rewritten: tuple[bytes, bytes] = (b"", b"")
        """Bytes in answers, and as many that clients get instead."""

    @property
    def connections(self) -> int:
        """Of clients, now."""
        return len(self._handlers)

    async def listen(self) -> None:
        """Accept connections, again on the same port after `refuse`."""
        self._server = await asyncio.start_server(self._serve, HOST, self.port, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    def refuse(self) -> None:
        """Reset every connection, and refuse new ones."""
        assert self._server is not None
        self._server.close()
        self._server = None
        self.reset()

    def freeze(self) -> None:
        """Pass nothing on; new connections are accepted, as the kernel does for a process that is stopped."""
        self._flowing.clear()

    def hold(self) -> None:
        """Keep answers back, while questions go on to the server: what it says gets old."""
        self._answering.clear()

    def thaw(self) -> None:
        """Pass on what has been waiting, and all that comes."""
        self._flowing.set()
        self._answering.set()

    @property
    def is_stalled(self) -> bool:
        """Whether clients wait in vain."""
        return not (self._flowing.is_set() and self._answering.is_set())

    def reset(self) -> None:
        """Reset every connection."""
        for writer in self._open:
            writer.transport.abort()

    def cut_answer_to(self, text: bytes) -> None:
        """Break off in the middle of the answer to the next question with this text."""
        self._cut = text

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        self.thaw()
        self.reset()
        for handler in list(self._handlers):
            handler.cancel()
        await asyncio.gather(*self._handlers, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._handlers.add(task)
        self._open.add(writer)
        self.accepted += 1
        try:
            await self._flowing.wait()
            with contextlib.suppress(OSError):
                upstream_reader, upstream = await asyncio.open_connection(HOST, self.upstream)
                self._open.add(upstream)
                try:
                    await self._pass_on(reader, writer, upstream_reader, upstream)
                finally:
                    self._open.discard(upstream)
                    upstream.transport.abort()
        except asyncio.CancelledError:
            pass  # the proxy is closed; asyncio would report it
        finally:
            self._open.discard(writer)
            self._handlers.discard(task)
            writer.transport.abort()

    async def _pass_on(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        upstream_reader: asyncio.StreamReader,
        upstream: asyncio.StreamWriter,
    ) -> None:
        """Both directions until one ends."""
        cut = asyncio.Event()
        questions = asyncio.create_task(self._ask(reader, upstream, cut))
        answers = asyncio.create_task(self._answer(upstream_reader, writer, cut))
        try:
            await asyncio.wait({questions, answers}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            questions.cancel()
            answers.cancel()
            await asyncio.gather(questions, answers, return_exceptions=True)

    async def _ask(self, reader: asyncio.StreamReader, upstream: asyncio.StreamWriter, cut: asyncio.Event) -> None:
        while data := await reader.read(65536):
            await self._flowing.wait()
            if self._cut is not None and self._cut in data:
                self._cut = None
                cut.set()
            upstream.write(data)
            await upstream.drain()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cut: asyncio.Event) -> None:
        while data := await reader.read(65536):
            await self._flowing.wait()
            await self._answering.wait()
            data = data.replace(*self.rewritten) if all(self.rewritten) else data
            if cut.is_set():
                writer.write(data[: len(data) // 2])
                writer.transport.close()
                return
            writer.write(data)
            await writer.drain()


@contextlib.asynccontextmanager
async def proxying(upstream: int) -> AsyncIterator[Proxy]:
    """A proxy before this port of this machine."""
    proxy = Proxy(upstream)
    await proxy.listen()
    try:
        yield proxy
    finally:
        await proxy.close()


def through(url: str, port: int) -> SecretStr:
    """The URL with another port of this machine."""
    parts = urlsplit(url)
    login = parts.netloc.rpartition("@")[0]
    return SecretStr(parts._replace(netloc=f"{login}@{HOST}:{port}" if login else f"{HOST}:{port}").geturl())
