"""The host names that this server answers to. That stops DNS rebinding: pages whose name is made to point here."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import Final

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from api.bounded_dict import BoundedDict
from api.config.setting_types import LOCALHOST
from api.config.settings import Settings
from api.error_codes import ErrorCode
from api.log import logger

_PROBES: Final = frozenset({"/livez", "/readyz"})
"""Probes call these by address, whatever the server's name is, and their answers tell nothing."""
_HOST: Final = re.compile(r"(\[[^\]]*\]|[^:]*)(?::\d{0,5})?")
_LONGEST: Final = 260
"""The most bytes of a host name; a longer one can't be valid."""
_REMEMBERED: Final = 1000


class Hosts:
    """Refuses requests whose `Host` isn't in ALLOWED_HOSTS.

    `localhost` stands for all names of this machine: localhost, names below it, and IP addresses, since no domain can
    look like one. Requests without the header pass, since browsers always send it.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._names = frozenset(host for host in settings.allowed_host_names if not host.startswith("*."))
        self._domains = tuple(host[1:] for host in settings.allowed_host_names if host.startswith("*."))
        self._admits = lru_cache(256)(self._look)
        self._hinted = BoundedDict[str, None](_REMEMBERED)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            for name, value in scope["headers"]:
                if name == b"host" and not self._admits(value[:_LONGEST]) and scope["path"] not in _PROBES:
                    await self._refuse(value)(scope, receive, send)
                    return
        await self._app(scope, receive, send)

    def _look(self, host: bytes) -> bool:
        found = _HOST.fullmatch(host.decode("latin-1").lower())
        if found is None:
            return False
        name = found[1].removesuffix(".")
        if name in self._names or name.endswith(self._domains):
            return True
        return LOCALHOST in self._names and (name.endswith(".localhost") or _is_address(name))

    def _refuse(self, value: bytes) -> JSONResponse:
        host = value[:100].decode("latin-1")
        if host not in self._hinted:
            self._hinted[host] = None
            logger.warning("host refused", host=host, limit="ALLOWED_HOSTS")
        message = f"This server does not answer to {host}: ALLOWED_HOSTS does not have it."
        body = {"errors": [{"message": message, "extensions": {"code": ErrorCode.BAD_REQUEST.name}}]}
        return JSONResponse(body, 421, {"cache-control": "no-store", "x-content-type-options": "nosniff"})


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
