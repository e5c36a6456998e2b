"""Mutations of accounts, for tests."""

from __future__ import annotations

from typing import Any

import httpx

from tests.support.graphql import execute

PASSWORD = "correct horse battery"

TOKENS = "accessToken refreshToken expiresAt user { id email role }"
ERRORS = "errors { __typename code message path }"
USER = "user { id email firstName lastName role isActive emailVerified }"

SELECTED = {
    "signUp": TOKENS,
    "signIn": TOKENS,
    "refreshSession": TOKENS,
    "signOut": "ended",
    "updateProfile": USER,
    "changePassword": USER,
    "setUserRole": USER,
    "deactivateUser": USER,
    "reactivateUser": USER,
}


def mutation(name: str) -> str:
    return (
        f"mutation ($input: {name[0].upper()}{name[1:]}Input!) "
        f"{{ {name}(input: $input) {{ {SELECTED[name]} {ERRORS} }} }}"
    )


async def mutate(client: httpx.AsyncClient, name: str, **values: Any) -> dict[str, Any]:
    """The payload of a mutation that was carried out."""
    payload: dict[str, Any] = (await execute(client, mutation(name), input=values))[name]
    assert payload.pop("errors") == []
    return payload


async def refused(client: httpx.AsyncClient, name: str, **values: Any) -> list[tuple[str, list[str] | None]]:
    """Codes and paths of the errors of a mutation that was not carried out."""
    payload = (await execute(client, mutation(name), input=values))[name]
    errors = payload.pop("errors")
    assert errors != []
    assert set(payload.values()) <= {None, 0}
    return [(error["code"], error["path"]) for error in errors]


async def sign_up(client: httpx.AsyncClient, email: str = "ada@example.com", **values: Any) -> dict[str, Any]:
    return await mutate(client, "signUp", email=email, **{"password": PASSWORD} | values)


async def sign_in(
    client: httpx.AsyncClient, email: str = "ada@example.com", password: str = PASSWORD
) -> dict[str, Any]:
    return await mutate(client, "signIn", email=email, password=password)
