"""How long what a client has sent has waited in the kernel, by Linux' own account."""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from typing import Final

_LAST_RECEIVED: Final = struct.Struct("=52xI")
"""`tcpi_last_data_recv` of `struct tcp_info` (linux/tcp.h): milliseconds since the last data came."""


def waited_unread(transport: asyncio.Transport) -> float:
    """Seconds since the last data of a TCP connection came; 0 elsewhere than on Linux, and where it can't be told.

    uvloop accepts one connection in each turn of the event loop, and up to BACKLOG of them wait with their requests.
    """
    its = transport.get_extra_info("socket")
    if sys.platform != "linux" or its is None or its.family not in (socket.AF_INET, socket.AF_INET6):
        return 0.0
    with_options = socket.socket(its.family, its.type, its.proto, fileno=its.fileno())  # uvloop's has no options
    try:
        (milliseconds,) = _LAST_RECEIVED.unpack(
            with_options.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _LAST_RECEIVED.size)
        )
    except OSError:
        return 0.0
    finally:
        with_options.detach()
    return float(milliseconds) / 1000
