"""What a setting's text may be: types of `Settings` that refuse the rest in a sentence, and never quote a value."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr

from api.config.postgres_url import parse as parse_postgres_url

ANY: Final = "*"
"""Among ALLOWED_HOSTS and CORS_ORIGINS: all of them."""
LOCALHOST: Final = "localhost"
"""Among CORS_ORIGINS: whatever this machine serves to its own browsers, on any port. Among ALLOWED_HOSTS: its names."""
REDIS_SCHEMES: Final = ("redis", "rediss", "valkey", "valkeys")
SECRET_BYTES: Final = 32
"""Least length of a key of HS256 (RFC 7518, 3.2)."""
_FEWEST_CHARACTERS: Final = 8
"""Different ones in a secret: of 32 hexadecimal digits made by chance, one in thirty million has fewer."""
_PLACEHOLDER: Final = re.compile(r"change[\W_]*(me|this)", re.IGNORECASE)
_REPEATED: Final = re.compile(r"(.{1,16}?)\1+.{0,15}", re.DOTALL)
"""A short text again and again, and perhaps its beginning."""


def split(text: str) -> tuple[str, ...]:
    """The parts of a list with commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def networks(text: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    """The networks of a list with commas. Raises ValueError."""
    return tuple(ipaddress.ip_network(part) for part in split(text))


def _postgres_url(url: SecretStr) -> SecretStr:
    parse_postgres_url(url.get_secret_value())
    return url


def urls(text: str) -> tuple[str, ...]:
    """The URLs of a list with commas or spaces. One may have commas in it, between its hosts."""
    return tuple(part.strip(" ,") for part in re.split(r"[\s,]+(?=postgres(?:ql)?(?:\+\w+)?://)", text.strip(" ,\n\t")))


def _postgres_urls(text: SecretStr) -> SecretStr:
    for url in urls(text.get_secret_value()):
        parse_postgres_url(url)
        if re.search(r"[\s,]", url.partition("://")[2].partition("/")[2].partition("?")[0]):
            raise ValueError("not a valid PostgreSQL URL")  # a comma in the database's name is one without a scheme
    return text


def _mongo_uri(uri: SecretStr) -> SecretStr:
    if urlsplit(uri.get_secret_value()).scheme not in ("mongodb", "mongodb+srv"):
        raise ValueError("must start with mongodb:// or mongodb+srv://")
    return uri


def _web_address(url: str) -> str:
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
        raise ValueError("must be the address of a server, such as http://192.168.1.20:8000")
    return url


def _secret(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if len(text.encode()) < SECRET_BYTES:
        raise ValueError(f"must have at least {SECRET_BYTES} bytes")
    if _PLACEHOLDER.search(text) or len(set(text)) < _FEWEST_CHARACTERS or _REPEATED.fullmatch(text):
        raise ValueError("must be made by chance, such as by `openssl rand -hex 32`: this one can be guessed")
    return secret


def _redis_url(url: SecretStr) -> SecretStr:
    if urlsplit(url.get_secret_value()).scheme not in REDIS_SCHEMES:
        raise ValueError("must start with redis://, rediss://, valkey:// or valkeys://")
    return url


def _rate(rate: str) -> str:
    from limits import parse as parse_rate  # here, since it takes a fifth of a second to import

    try:
        parse_rate(rate)
    except ValueError:
        raise ValueError('must be a rate such as "10/minute" or "100 per 5 minutes"') from None
    return rate


def _quota(rate: str) -> str:
    return rate if rate == "off" else _rate(rate)


def _networks(proxies: str) -> str:
    try:
        networks(proxies)
    except ValueError:
        raise ValueError("must be addresses or networks, such as 127.0.0.1,10.0.0.0/8") from None
    return proxies


def _origins(origins: str) -> str:
    for origin in split(origins):
        parts = urlsplit(origin)
        if origin not in (ANY, LOCALHOST) and (
            parts.scheme not in ("http", "https") or origin != f"{parts.scheme}://{parts.netloc}"
        ):
            raise ValueError("must be *, localhost or origins, such as https://example.com,http://localhost:3000")
    return origins


def _hosts(hosts: str) -> str:
    if not all(
        host == ANY or re.fullmatch(r"(\*\.)?[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]", host) for host in split(hosts)
    ):
        raise ValueError("must be names without port, such as api.example.com,*.example.org,[::1], localhost or *")
    return hosts


def _header_names(names: str) -> str:
    if not all(re.fullmatch(r"[A-Za-z0-9*_-]+", name) for name in split(names)):
        raise ValueError("must be names of headers, such as x-shop-version,x-shop-*")
    return names


PostgresUrl = Annotated[SecretStr, AfterValidator(_postgres_url)]
PostgresUrls = Annotated[SecretStr, AfterValidator(_postgres_urls)]
MongoUri = Annotated[SecretStr, AfterValidator(_mongo_uri)]
WebAddress = Annotated[str, AfterValidator(_web_address)]
Secret = Annotated[SecretStr, AfterValidator(_secret)]
RedisUrl = Annotated[SecretStr, AfterValidator(_redis_url)]
Rate = Annotated[str, AfterValidator(_rate)]
Quota = Annotated[str, AfterValidator(_quota)]
"""A rate, or `off`."""
Networks = Annotated[str, AfterValidator(_networks)]
Origins = Annotated[str, AfterValidator(_origins)]
Hosts = Annotated[str, AfterValidator(_hosts)]
HeaderNames = Annotated[str, AfterValidator(_header_names)]
