"""Who a request is from: access tokens, and the sessions behind them."""

from __future__ import annotations

import httpx
import pytest
from starlette.applications import Starlette

from tests.graphql import execute
from tests.signing_in import signed_in

pytestmark = pytest.mark.anyio

EMAILS = "query ($id: ID!) { user(id: $id) { email } }"


async def test_a_user_sees_their_own_email(anonymous: httpx.AsyncClient, app: Starlette) -> None:
    from tests.graphql import gid
    stores = app.state.stores
    mine, user = await signed_in(anonymous, stores)
    assert await execute(mine, EMAILS, id=gid(user)) == {"user": {"email": user.email}}
    assert await execute(anonymous, EMAILS, id=gid(user)) == {"user": None}
