"""Signing up and in, profiles, and what admins do with accounts."""

from __future__ import annotations

import httpx
import pytest

from tests.graphql import execute
from tests.signing_in import with_token

pytestmark = pytest.mark.anyio

SIGN_UP = """
mutation ($input: SignUpInput!) {
  signUp(input: $input) {
    accessToken refreshToken expiresAt
    user { id email firstName lastName role isActive emailVerified }
    errors { code message path }
  }
}
"""
SIGN_IN = """
mutation ($input: SignInInput!) {
  signIn(input: $input) { accessToken refreshToken expiresAt user { id email } errors { __typename code message path } }
}
"""
VIEWER = "{ viewer { email } }"


async def test_who_signs_up_is_signed_in(anonymous: httpx.AsyncClient) -> None:
    given = {"email": " Ada@Example.com ", "password": "correct horse", "firstName": "Ada"}

    answer = (await execute(anonymous, SIGN_UP, input=given))["signUp"]

    assert answer["errors"] == []
    mine = with_token(anonymous, answer["accessToken"])
    assert await execute(mine, VIEWER) == {"viewer": {"email": "Ada@Example.com"}}
    answer = (await execute(anonymous, SIGN_IN, input={"email": "ada@example.COM", "password": "correct horse"}))["signIn"]
    assert answer["errors"] == []
    print(answer)
