"""GraphiQL's page, its content security policy, and the routes of its files."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from importlib.resources import files
from string import Template
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from api.config.settings import Settings
from api.demo.sign_in_accounts import DemoAccount
from api.http.explorer.assets import ASSETS, SCRIPTS, STYLES, Asset, AssetsMissing, folder, load
from api.http.responses.compression import LEAST, compressed, encoding_of
from api.log import logger

ASSETS_PATH: Final = "/graphql/assets"

SAMPLES: Final = (
    "catalog",
    "search",
    "facets",
    "who-am-i",
    "designs",
    "similar",
    "paging",
    "patch",
    "history",
    "users",
)
"""The files in samples/, one for each tab; some have a file of variables beside them."""

_KNOWN_PASSWORD: Final[str] = Settings.model_fields["demo_password"].default.get_secret_value()

_COMPRESSED: Final[dict[tuple[str, str], bytes]] = {}
"""Compressed files by name and encoding. They never change, since their names contain versions."""

BY_NAME: Final[Mapping[str, Asset]] = {asset.name: asset for asset in ASSETS}


def page(settings: Settings, accounts: Sequence[DemoAccount] = ()) -> Response:
    """The explorer, 200. Loads the installed files, or the CDN's where they are missing.

    `accounts` are the accounts that it offers for signing in. It only contains their password where that is the public
    default.
    """
    local = _installed(settings)
    nonce = secrets.token_urlsafe(16)
    password = settings.demo_password.get_secret_value()
    options = {
        "samples": [{"query": query, "variables": variables} for query, variables in samples()],
        "local": local,
        "accounts": [{"email": account.email, "role": account.role} for account in accounts],
        "password": password if accounts and password == _KNOWN_PASSWORD else None,
    }
    html = Template(_file("graphiql.html")).substitute(
        nonce=nonce,
        styles="\n".join(
            f'<link nonce="{nonce}" rel="stylesheet" {_source("href", asset, local)}>' for asset in STYLES
        ),
        scripts="\n".join(f'<script nonce="{nonce}" {_source("src", asset, local)}></script>' for asset in SCRIPTS),
        page_style=_file("graphiql.css"),
        page_script="\n".join(
            ['"use strict";', *map(_file, ("session.js", "subscription.js", "explain.js", "page.js"))]
        ),
        # "<" could end the script element that carries the JSON.
        options=json.dumps(options).replace("<", "\\u003c"),
    )
    return HTMLResponse(html, headers=_headers(nonce, settings))


def routes(settings: Settings) -> list[Route]:
    """The routes of the installed files; none where the explorer is turned off."""
    if not settings.explorer:
        return []
    try:
        load(folder(settings.data_dir))
    except AssetsMissing as error:
        logger.info("explorer uses the CDN", reason=str(error), remedy="fashion-wallet explorer install")

    async def asset(request: Request) -> Response:
        return await _asset(settings, request)

    return [Route(f"{ASSETS_PATH}/{{file}}", asset, name="explorer_asset")]


@cache
def samples() -> tuple[tuple[str, str], ...]:
    """The queries that the page opens with, each with its variables in JSON, or an empty text."""
    folder_of_samples = files(__package__) / "samples"
    found = []
    for name in SAMPLES:
        variables = folder_of_samples / f"{name}.json"
        query = (folder_of_samples / f"{name}.graphql").read_text("utf-8")
        found.append((query, variables.read_text("utf-8") if variables.is_file() else ""))
    return tuple(found)


@cache
def _file(name: str) -> str:
    """One of the page's own files, as text."""
    return (files(__package__) / name).read_text("utf-8")


def _installed(settings: Settings) -> bool:
    try:
        load(folder(settings.data_dir))
    except AssetsMissing:
        return False
    return True


def _source(attribute: str, asset: Asset, local: bool) -> str:
    # Relative to /graphql, so that the page also works behind a proxy that adds a prefix.
    url = f"graphql/assets/{asset.name}" if local else asset.cdn_url
    return f'{attribute}="{escape(url)}" integrity="{asset.integrity}" crossorigin="anonymous"'


def _headers(nonce: str, settings: Settings) -> dict[str, str]:
    policy = {
        "default-src": "'none'",
        # The page's own elements and no others, whichever server their files come from.
        "script-src": f"'nonce-{nonce}'",
        "style-src": f"'nonce-{nonce}'",
        "font-src": "data:",
        # Hovering over a picture's address in an answer shows the picture, wherever it is.
        "img-src": "'self' data: https:" + (" http://127.0.0.1:*" if settings.demo_pictures else ""),
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "Cache-Control": "no-store",  # the nonce is for this response only
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "same-origin",
        "Vary": "Accept",
        "X-Content-Type-Options": "nosniff",
    }


async def _asset(settings: Settings, request: Request) -> Response:
    asset = BY_NAME.get(request.path_params["file"])
    if asset is None:
        raise HTTPException(404)
    try:
        content = load(folder(settings.data_dir))[asset.name]
    except AssetsMissing:
        raise HTTPException(404) from None
    headers = {
        "Cache-Control": "public, max-age=31536000, immutable",
        "ETag": f'"{asset.integrity}"',
        "Vary": "Accept-Encoding",
        "X-Content-Type-Options": "nosniff",
    }
    known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    if headers["ETag"] in known or known == ["*"]:
        return Response(status_code=304, headers=headers)
    encoding = encoding_of(request.headers.get("accept-encoding", ""))
    if encoding is not None and len(content) >= LEAST:
        if (asset.name, encoding) not in _COMPRESSED:
            _COMPRESSED[asset.name, encoding] = await compressed(content, encoding)
        content = _COMPRESSED[asset.name, encoding]
        # a weak tag, since the encoding changes the bytes
        headers |= {"Content-Encoding": encoding, "ETag": f"W/{headers['ETag']}"}
    return Response(content, media_type=asset.media_type, headers=headers)
