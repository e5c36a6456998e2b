"""How long what a client has sent has waited in the kernel, by Linux' own account."""

from __future__ import annotations

import socket
import struct
import sys
from typing import Any, Final

_LAST_RECEIVED: Final = struct.Struct("=52xI")
"""`tcpi_last_data_recv` of `struct tcp_info` (linux/tcp.h): milliseconds since the last data came."""


def waited_unread(connection: Any) -> float:
    """Seconds since the last data of a TCP connection came, or since it was made; 0 elsewhere than on Linux, and where
    it can't be told. `connection` is a socket, or one of uvloop's.

    A connection waits in the kernel until it is accepted, with its first request, and up to BACKLOG of them do.
    """
    if sys.platform != "linux" or connection is None or connection.family not in (socket.AF_INET, socket.AF_INET6):
        return 0.0
    with_options = socket.socket(  # uvloop's has no options
        connection.family, connection.type, connection.proto, fileno=connection.fileno()
    )
    try:
        (milliseconds,) = _LAST_RECEIVED.unpack(
            with_options.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _LAST_RECEIVED.size)
        )
    except OSError:
        return 0.0
    finally:
        with_options.detach()
    return float(milliseconds) / 1000
