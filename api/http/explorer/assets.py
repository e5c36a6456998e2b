"""GraphiQL's files, their packages, and their hashes.

GraphiQL 5 ships only modules for a bundler (its editor imports CSS from JavaScript and starts workers by
bundler syntax), and React 19 has no browser build. GraphiQL 4 with React 18 is the newest pair that a page
can load as it is published.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Final

CDN: Final = "https://cdn.jsdelivr.net/npm"
"""Serves files of npm packages unchanged; the page loads them from here where none are installed."""

MEDIA_TYPES: Final = {".js": "text/javascript", ".css": "text/css", ".txt": "text/plain", ".md": "text/markdown"}


class ExplorerError(Exception):
    """The explorer's files can't be installed; the message says why and what to do."""


class AssetsMissing(ExplorerError):
    """Some of the files are not installed, or one has the wrong hash."""


@dataclass(frozen=True, slots=True)
class Package:
    """A pinned npm package; `integrity` is the registry's own hash of its tarball."""

    name: str
    version: str
    integrity: str

    @property
    def slug(self) -> str:
        return f"{self.name.removeprefix('@').replace('/', '-')}-{self.version}"

    @property
    def tarball(self) -> str:
        """Name that `npm pack` gives the package's file."""
        return f"{self.slug}.tgz"


@dataclass(frozen=True, slots=True)
class Asset:
    """One file of a package; `integrity` is its hash in the form that browsers check (`sha384-...`).

    The tarball's hash guards the installation: nothing is unpacked from a file that the registry, a mirror
    or a proxy has changed. The file's own hash guards what comes later: the data folder, checked when it is
    read, and the CDN, checked by the browser.
    """

    package: Package
    path: str
    integrity: str

    @property
    def name(self) -> str:
        """Name on disk and in URLs. It carries the version, so that it can be cached for ever."""
        return self.package.slug + (PurePosixPath(self.path).suffix or ".txt")

    @property
    def media_type(self) -> str:
        return MEDIA_TYPES[PurePosixPath(self.name).suffix]

    @property
    def cdn_url(self) -> str:
        return f"{CDN}/{self.package.name}@{self.package.version}/{self.path}"


REACT: Final = Package(
    "react",
    "18.3.1",
    "sha512-wS+hAgJShR0KhEvPJArfuPVN1+Hz1t0Y6n5jLrGQbkb4urgPE/0Rve+1kMB1v/oWgHgm4WIcV+i7F2pTVj+2iQ==",
)
REACT_DOM: Final = Package(
    "react-dom",
    "18.3.1",
    "sha512-5m4nQKp+rZRb09LNH59GM4BxTh9251/ylbKIbpe7TpGxfJ+9kv6BLkLBXIjjspbgbnIBNqlI23tRnTWT0snUIw==",
)
GRAPHIQL: Final = Package(
    "graphiql",
    "4.1.2",
    "sha512-rNlzQIAzm6i2KBXmVQWBgLvt0TloxFVB2d18bukvdsvjEuFDHsKx5IVOomL1W1o5WW+tE54+ioHb2AEKzO2cUg==",
)
QUERY_BUILDER: Final = Package(
    "@graphiql/plugin-explorer",
    "4.0.6",
    "sha512-TppIi92YPER3v70nlF01KTQrq9AiYqkZicSd1hpU7aqGmbqw/pLwBNLUEcfENBoJtw574Qxjswb01+GaYK0Tzw==",
)
GRAPHQL_WS: Final = Package(
    "graphql-ws",
    "5.16.2",
    "sha512-E1uccsZxt/96jH/OwmLPuXMACILs76pKF2i3W861LpKBCYtGIyPQGtWLuBLkND4ox1KHns70e83PS4te50nvPQ==",
)
"""The newest with a browser build. Subscriptions of the page go through it."""
PACKAGES: Final = (REACT, REACT_DOM, GRAPHIQL, QUERY_BUILDER, GRAPHQL_WS)

ASSETS: Final = (
    Asset(
        REACT,
        "umd/react.production.min.js",
        "sha384-DGyLxAyjq0f9SPpVevD6IgztCFlnMF6oW/XQGmfe+IsZ8TqEiDrcHkMLKI6fiB/Z",
    ),
    Asset(
        REACT_DOM,
        "umd/react-dom.production.min.js",
        "sha384-gTGxhz21lVGYNMcdJOyq01Edg0jhn/c22nsx0kyqP0TxaV5WVdsSH1fSDUf5YJj1",
    ),
    Asset(
        GRAPHIQL,
        "graphiql.min.js",
        "sha384-9XdHu7ajgGJziD4J1zNBKQ842Q/+zZfDv+ib1eMhZWBH6hPAs806x+Jbcf0yNO6B",
    ),
    Asset(
        QUERY_BUILDER,
        "dist/index.umd.js",
        "sha384-gXYG2RCFRuAiKUaKTbKxOVlvr0U9z0D/V/l5jdvRSH46vQ+9cpkG2d3ByiggUYvD",
    ),
    Asset(
        GRAPHQL_WS,
        "umd/graphql-ws.min.js",
        "sha384-+EVxFEOpy8LWPRQcpntm0FKN2O+BzrMNSL0G3HIgVWFmeb6xqZqjuLivrQUTXZKi",
    ),
    Asset(
        GRAPHIQL,
        "graphiql.min.css",
        "sha384-1el1QShFBnnXTx9x/Cprg82hZWKt0ry29OAYIXt05swbi0KcZDFoj0CWguMpopJr",
    ),
    Asset(
        QUERY_BUILDER,
        "dist/style.css",
        "sha384-XffIsImDMwexX8UM/Bg3tss0MZOeQmZcnHzk0avUrw9ff0IQ2g9j7QLA6m2lz5D0",
    ),
    Asset(REACT, "LICENSE", "sha384-dIN5gxuW3odCH42AKpxql36fRQlrVsjCi4EJgGC2Ty8Ihkcq9cdrChEZpKhSAfks"),
    Asset(REACT_DOM, "LICENSE", "sha384-dIN5gxuW3odCH42AKpxql36fRQlrVsjCi4EJgGC2Ty8Ihkcq9cdrChEZpKhSAfks"),
    Asset(GRAPHIQL, "LICENSE", "sha384-9JPX1agGTIUB7wtQt2kO3PUO7clmCJp+9e50VMjw1yd8briI77AZnMDBz5VcerBH"),
    Asset(GRAPHQL_WS, "LICENSE.md", "sha384-c9rwCRJhBe3xpfGbnP7ZTP0sfjJyIeA1TwyZG3NBT2vtq9QfSZQKD4RT0zGM91Uc"),
)
"""In the order in which the page loads them; the licences go with the copies."""

SCRIPTS: Final = tuple(asset for asset in ASSETS if asset.media_type == "text/javascript")
STYLES: Final = tuple(asset for asset in ASSETS if asset.media_type == "text/css")


def integrity(content: bytes, algorithm: str) -> str:
    """Hash of the content as npm and browsers write it: `sha384-` and base64."""
    return f"{algorithm}-{base64.b64encode(hashlib.new(algorithm, content).digest()).decode()}"


def folder(data_dir: Path) -> Path:
    return data_dir / "explorer"


def read(directory: Path) -> Mapping[str, bytes]:
    """The content of every asset by its name, each checked. Raises AssetsMissing."""
    contents = {}
    for asset in ASSETS:
        try:
            content = (directory / asset.name).read_bytes()
        except OSError as error:
            raise AssetsMissing(f"{asset.name} can't be read: {error.strerror}") from None
        if integrity(content, "sha384") != asset.integrity:
            raise AssetsMissing(f"{asset.name} is not the pinned file: its hash differs")
        contents[asset.name] = content
    return contents


load = cache(read)
"""`read`, once for each folder. Failures aren't cached, so files that are installed later are found."""
