"""The network address of a client, by the connection or the headers of trusted proxies."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from starlette.requests import HTTPConnection

from api.config.setting_types import networks
from api.config.settings import Settings

_IPV6_SITE: Final = 64
"""The bits of an IPv6 address that identify a customer; they choose the others themselves."""
_LONGEST: Final = 100
"""The most characters of an address with its zone."""
_WITH_PORT: Final = re.compile(r"\[(?P<ipv6>[^\]]*)\](?::\d+)?|(?P<ipv4>[\d.]+):\d+")
"""How some proxies write addresses in X-Forwarded-For: with the client's port, IPv6 in brackets."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Addresses:
    """Reads the addresses of clients. Trusted proxies may name the clients that they forward."""

    def __init__(self, settings: Settings) -> None:
        self._proxies = networks(settings.trusted_proxies)

    def of(self, request: HTTPConnection) -> str | None:
        """The address of the client; None for a Unix socket.

        `X-Forwarded-For` is read from the right, as long as trusted proxies wrote it: the client may have invented
        everything further left.
        """
        peer = self.peer(request.scope.get("client"))
        if peer is None or not self._proxies:
            return _text(peer) if peer is not None else None
        return str(self._first_untrusted([*request.headers.getlist("x-forwarded-for")], peer))

    def peer(self, client: tuple[str, int] | None) -> Address | None:
        """The address of the other end of a connection; None where it has none."""
        return _parse(client[0]) if client is not None else None

    def trusts(self, address: Address) -> bool:
        """Whether the address belongs to one of TRUSTED_PROXIES."""
        return any(address in network for network in self._proxies)

    def _first_untrusted(self, headers: Sequence[str], peer: Address) -> Address:
        hops = [hop.strip() for header in headers for hop in header.split(",")]
        while self.trusts(peer) and hops:
            hop = _parse(hops.pop())
            if hop is None:
                break
            peer = hop
        return peer


@lru_cache(1024)
def site(address: str) -> str:
    """The key by which limits count an address: an IPv4 address, or the /64 network of an IPv6 address."""
    parsed = ipaddress.ip_address(address)
    if parsed.version == 4:
        return address
    return str(ipaddress.ip_network((parsed, _IPV6_SITE), strict=False))


_text: Final = lru_cache(1024)(str)


def _parse(text: str) -> Address | None:
    return _parse_short(text) if len(text) <= _LONGEST else None


@lru_cache(1024)
def _parse_short(text: str) -> Address | None:
    if (found := _WITH_PORT.fullmatch(text)) is not None:
        text = found["ipv6"] or found["ipv4"] or ""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else address
