"""Accounts that are signed in, without hashing a password: a row of a session, and a token for it."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import insert
from starlette.applications import Starlette

from api.accounts.auth import Auth
from api.accounts.sessions import ActiveSession
from api.accounts.tokens import AccessTokens
from api.config.settings import Settings
from api.stores.stores import Stores
from models import Session, User, new_id
from tests.support.factories.users import create_user


async def signed_in(
    client: httpx.AsyncClient, stores: Stores, role: str = "user", *, settings: Settings | None = None, **values: Any
) -> tuple[httpx.AsyncClient, User]:
    """A client like the given one that sends an access token, and the new account that it is of.

    `values` are columns of the account. `settings` are needed where the client talks to another process.
    """
    user = await create_user(stores, role=role, **values)
    return await client_of(client, stores, user, settings=settings), user


async def client_of(
    client: httpx.AsyncClient, stores: Stores, user: User, *, settings: Settings | None = None
) -> httpx.AsyncClient:
    """A client like the given one, signed in to this account with a session of its own."""
    session_id = await open_session(stores, user.id)
    token = access_token(settings or settings_of(client), user.id, session_id)
    return with_token(client, token)


def as_admin(client: httpx.AsyncClient, app: Starlette) -> httpx.AsyncClient:
    """A client like the given one, signed in as an admin who has no row, in a session that the process remembers."""
    auth: Auth = app.state.auth
    user_id, session_id = new_id(), new_id()
    auth.sessions._known[session_id] = math.inf, ActiveSession(user_id, "admin")
    return with_token(client, auth.tokens.issue(user_id, session_id)[0])


def with_token(client: httpx.AsyncClient, token: str) -> httpx.AsyncClient:
    """A client like the given one that sends this token."""
    headers = {"authorization": f"Bearer {token}"}
    if isinstance(client._transport, httpx.ASGITransport):
        return httpx.AsyncClient(transport=client._transport, base_url=client.base_url, headers=headers)
    return httpx.AsyncClient(base_url=client.base_url, headers=headers)


async def open_session(stores: Stores, user_id: UUID, **values: Any) -> UUID:
    """The id of a new session of an account."""
    defaults = {"id": new_id(), "user_id": user_id, "expires_at": datetime.now(UTC) + timedelta(days=1)}
    async with stores.sessions.begin() as session:
        id: UUID = (await session.scalars(insert(Session).values(**defaults | values).returning(Session.id))).one()
        return id


def access_token(settings: Settings, user_id: UUID, session_id: UUID) -> str:
    """An access token of this session."""
    return AccessTokens(settings).issue(user_id, session_id)[0]


def settings_of(client: httpx.AsyncClient) -> Settings:
    """The settings of the application behind a client without a socket."""
    transport = client._transport
    assert isinstance(transport, httpx.ASGITransport), "settings are needed for another process"
    settings: Settings = transport.app.state.settings  # type: ignore[attr-defined]
    return settings
