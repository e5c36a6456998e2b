"""What is logged is written in the background: a reader that stalls costs lines, which are counted, and no time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator

import pytest

from api.log_stream import LineLogger, LogStream
from tests.support.servers import wait_until

PIPE = 4096
CAPACITY = 1000
LINE = b"x" * 99


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Both ends of a pipe that holds little."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE)
    os.set_blocking(reader, False)
    yield reader, writer
    os.close(reader)


def stream_on(writer: int) -> LogStream:
    return LogStream(writer, lambda lines: b"lost %d\n" % lines, CAPACITY)


def read_until(reader: int, end: bytes) -> bytes:
    """Everything that has come when it ends like this."""
    text = bytearray()

    def ended() -> bool:
        with contextlib.suppress(BlockingIOError):
            text.extend(os.read(reader, 65536))
        return text.endswith(end)

    wait_until(ended, f"{end!r} in the pipe")
    return bytes(text)


def test_lines_come_whole_and_in_order(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    stream = stream_on(writer)
    logger = LineLogger(stream)
    logger.info(b"one")
    logger.error("two é")
    stream.drain(10)
    assert os.read(reader, 100) == "one\ntwo é\n".encode()
    logger.debug(b"three")
    assert read_until(reader, b"three\n") == b"three\n"


def test_a_reader_that_stalls_costs_counted_lines_and_no_time(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    stream = stream_on(writer)
    logger = LineLogger(stream)
    # as long as nobody reads, this would never end
    for _ in range(200):
        logger.info(LINE)
    stream.drain(0)
    wait_until(lambda: stream._lost, "lines that don't fit")
    for _ in range(CAPACITY):
        logger.info(LINE)

    # the writing thread says what was lost whenever something fits again: once, or several times in between
    lines: list[bytes] = []
    kept: list[bytes] = []
    lost: list[int] = []
    while len(kept) + sum(lost) < 200 + CAPACITY:
        lines += read_until(reader, b"\n").splitlines()
        kept = [line for line in lines if line == LINE]
        lost = [int(line.removeprefix(b"lost ")) for line in lines if line.startswith(b"lost ")]
    assert len(kept) + sum(lost) == 200 + CAPACITY
    assert len(kept) <= (PIPE + 2 * CAPACITY) // (len(LINE) + 1) + 1
    assert len(kept) + len(lost) == len(lines)

    # and goes on
    logger.info(b"after")
    assert read_until(reader, b"after\n") == b"after\n"


def test_nobody_reads_any_more(pipe: tuple[int, int]) -> None:
    writer = os.dup(pipe[1])
    other_reader, gone = os.pipe()
    os.close(other_reader)
    stream = stream_on(gone)
    stream.write(b"to nobody\n")
    stream.drain(10)
    assert stream._size == 0
    stream.write(b"again\n")
    stream.drain(10)
    assert stream._size == 0
    os.close(gone)
    os.close(writer)


def test_the_thread_that_writes_rests_until_the_next_line(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    before = threading.active_count()
    stream = stream_on(writer)
    for line in (b"one\n", b"two\n"):
        stream.write(line)
        assert threading.active_count() == before + 1
        stream.rest(10)
        assert threading.active_count() == before
        assert os.read(reader, 100) == line
    # not while a reader stalls
    os.write(writer, b"x" * PIPE)
    stream.write(b"three\n")
    stream.rest(0.01)
    assert threading.active_count() == before + 1
    assert os.read(reader, PIPE) == b"x" * PIPE
    assert read_until(reader, b"three\n") == b"three\n"
    stream.rest(10)
    assert threading.active_count() == before
