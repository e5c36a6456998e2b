"""Changing AUTH_SECRET by the steps of docs/operating/keys.md, while instances are replaced one after the other."""

from __future__ import annotations

import re
from contextlib import AsyncExitStack
from itertools import pairwise, product

import httpx
import pytest
from pydantic import SecretStr

from api.config.settings import Settings
from api.stores.stores import Stores
from tests.support.applications import running
from tests.support.documentation.pages import page
from tests.support.factories.users import create_user
from tests.support.graphql import execute
from tests.support.signing_in import access_token, open_session, with_token

pytestmark = pytest.mark.anyio

SECRETS = {"OLD": "the secret of the tests, which is replaced", "NEW": "another one, which has 32 bytes as well"}
STEPS = page("docs/operating/keys.md").of("sh")


def at_step(settings: Settings, step: str) -> Settings:
    """The settings of an instance at a step of the page."""
    given = {name: SecretStr(SECRETS[value]) for name, value in re.findall(r"^(AUTH_SECRET\w*)=\$(\w+)$", step, re.M)}
    assert given
    names = ("AUTH_SECRET", "AUTH_SECRET_PREVIOUS")
    return settings.model_copy(update={name.lower(): given.get(name) for name in names})


async def test_a_change_of_the_secret_signs_nobody_out(settings: Settings, opened_stores: Stores) -> None:
    user = await create_user(opened_stores)
    session = await open_session(opened_stores, user.id)
    states = [settings.model_copy(update={"auth_secret": SecretStr(SECRETS["OLD"])})]
    states += [at_step(settings, step) for step in STEPS]
    assert len(states) == 4

    async with AsyncExitStack() as stack:
        instances = [(state, (await stack.enter_async_context(running(state)))[1]) for state in states]
        # while instances are replaced, both of two steps serve: each takes what either of them signs
        for two in pairwise(instances):
            for (signing, _), (_, client) in product(two, two):
                token = access_token(signing, user.id, session)
                assert await viewer(client, token) == user.first_name

        forgotten = access_token(states[0], user.id, session)
        last = with_token(instances[-1][1], forgotten)
        refused = (await last.post("/graphql", json={"query": "{ viewer { firstName } }"})).json()
        assert refused["errors"][0]["extensions"]["code"] == "INVALID_ACCESS_TOKEN"


async def viewer(client: httpx.AsyncClient, token: str) -> str:
    data = await execute(with_token(client, token), "{ viewer { firstName } }")
    name: str = data["viewer"]["firstName"]
    return name
