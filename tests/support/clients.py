"""What clients of httpx do otherwise in the tests, for the sake of time and of the event loop."""

from __future__ import annotations

import functools
import sys
from typing import Any

import httpcore
import httpx
from httpcore._backends.anyio import AnyIOStream


def mend_clients() -> None:
    """Let clients share what each would make anew, and tell connections that the server has closed."""
    # looked for at each request without a socket; to find that it isn't there takes a tenth of the request's time
    sys.modules.setdefault("sniffio", None)  # type: ignore[arg-type]
    # made for each `httpx.get`, of the certificates of all authorities: 70 ms of work, and nobody here speaks TLS
    transports: Any = httpx._transports.default
    transports.create_ssl_context = functools.cache(transports.create_ssl_context)
    stream: Any = AnyIOStream
    stream.get_extra_info = _told(stream.get_extra_info)


def _told(get_extra_info: Any) -> Any:
    def told(stream: AnyIOStream, name: str) -> Any:
        try:
            return get_extra_info(stream, name)
        except AttributeError:  # on uvloop, a connection has no socket any more once it is closed
            if name == "is_readable":
                return True  # which closed ones are: they aren't used again
            raise httpcore.ConnectError("closed by the server as soon as it was open") from None

    return told
