"""What must not be read in a log: passwords, tokens, keys, connection strings."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.config.settings import Settings
from tests.support.servers import environment, serving

PASSWORD = "correct horse battery staple"
NEW_PASSWORD = "another correct horse"
SECRET = "a secret of 32 bytes that nobody may read"
KEY = "an-idempotency-key-of-somebody"
CREDENTIALS = "mutation ($input: %s!) { %s(input: $input) { accessToken refreshToken errors { code } } }"


def send(client: httpx.Client, query: str, token: str | None = None, **variables: Any) -> httpx.Response:
    headers = {"idempotency-key": f"{KEY}-{uuid.uuid4()}"} | ({"authorization": f"Bearer {token}"} if token else {})
    return client.post("/graphql", json={"query": query, "variables": variables}, headers=headers)


def data_of(answer: httpx.Response, field: str) -> dict[str, Any]:
    body = answer.json()
    assert body["data"][field]["errors"] == [], body
    found: dict[str, Any] = body["data"][field]
    return found


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_no_secret_is_logged(settings: Settings, clean_stores: None, tmp_path: Path, log_format: str) -> None:
    variables = environment(settings, LOG_LEVEL="debug", LOG_FORMAT=log_format, AUTH_SECRET=SECRET)
    secrets = [PASSWORD, NEW_PASSWORD, SECRET, KEY]
    with serving("serve", folder=tmp_path, variables=variables) as server, httpx.Client(timeout=30) as client:
        client.base_url = server.url
        account = {"email": "ada@example.com", "password": PASSWORD}
        sign_up = CREDENTIALS % ("SignUpInput", "signUp")
        given = send(client, sign_up, input=account | {"firstName": "Ada", "lastName": "Lovelace"})
        tokens = [data_of(given, "signUp")]
        tokens.append(data_of(send(client, CREDENTIALS % ("SignInInput", "signIn"), input=account), "signIn"))
        refresh = CREDENTIALS % ("RefreshSessionInput", "refreshSession")
        given = send(client, refresh, input={"refreshToken": tokens[1]["refreshToken"]})
        tokens.append(data_of(given, "refreshSession"))
        access = tokens[2]["accessToken"]
        change = "mutation ($input: ChangePasswordInput!) { changePassword(input: $input) { errors { code } } }"
        given = send(client, change, access, input={"currentPassword": PASSWORD, "newPassword": NEW_PASSWORD})
        assert given.json()["data"]["changePassword"]["errors"] == []
        # and what goes wrong: the password in a document, in variables of the wrong type, a token that is none
        send(client, f'mutation {{ signIn(input: {{ email: "{PASSWORD}", password: "{PASSWORD}" }}) {{ nothing }} }}')
        send(client, CREDENTIALS % ("SignInInput", "signIn"), input={"email": 5, "password": [PASSWORD]})
        assert send(client, "{ viewer { id } }", token=access + "x").status_code == 401
        client.post(
            "/graphql", content=b'{"query": "' + PASSWORD.encode(), headers={"content-type": "application/json"}
        )
        client.get("/graphql", params={"query": f'{{ user(id: "{PASSWORD}") {{ id }} }}', "accessToken": access})
        assert server.stop() == 0
        log = server.text()

    secrets += [token[name] for token in tokens for name in ("accessToken", "refreshToken")]
    assert [secret for secret in secrets if secret in log] == []
    assert len(set(secrets)) >= 9  # two access tokens of one second are the same
    assert log.count("request_id") >= 9
    if log_format == "json":
        lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
        assert {line["event"] for line in lines} >= {"request"}


def test_no_password_of_a_store_is_logged(clean_stores: None, tmp_path: Path) -> None:
    """Of stores that don't answer, in all that is said of them: at start, in requests, by probes."""
    from tests.support.servers import command, wait_until

    variables = environment(
        None,
        LOG_LEVEL="debug",
        DATABASE_URL="postgresql://wallet:hunter2@127.0.0.1:1/wallet",
        MONGODB_URI="mongodb://wallet:hunter3@127.0.0.1:1/wallet",
        MONGODB_SELECTION_TIMEOUT="0.2",
        AUTH_SECRET=SECRET,
    )
    with command("serve", "--port", "0", "--require-stores", folder=tmp_path, variables=variables) as server:
        assert server.process.wait(60) == 1
    with command("serve", "--port", "0", folder=tmp_path, variables=variables, output="unready.txt") as unready:
        wait_until(lambda: "store does not answer" in unready.text(), "what is said at the start")
        assert unready.stop() == 0
        log_of_unready = unready.text()
        log = server.text()

    assert "Connect call failed" in log
    assert not any(secret in log + log_of_unready for secret in ("hunter2", "hunter3", SECRET))
