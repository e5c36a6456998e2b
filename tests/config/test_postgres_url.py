"""Connection strings as libpq's users write them: what the driver has is done, the rest is refused by name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr

from api.config.postgres_url import goes_unverified, parse
from api.config.settings import ConfigurationError, Settings, load_settings
from api.embedded.daemons import free_port
from api.stores.mongodb.client import mongo_client, mongo_database
from api.stores.postgres.connector import Connector
from api.stores.startup_errors import describe
from tests.support.applications import running
from tests.support.processes import COMMAND
from tests.support.servers import command, environment

pytestmark = pytest.mark.anyio


def to(settings: Settings, url: str, **changes: object) -> Connector:
    return Connector(settings.model_copy(update={"database_url": SecretStr(url), **changes}))


@pytest.fixture
def authority(postgres_url: str) -> str:
    """`postgres@127.0.0.1:5432` of the suite's server."""
    return postgres_url.removeprefix("postgresql://").rpartition("/")[0]


async def test_what_a_session_starts_with(settings: Settings, postgres_url: str) -> None:
    parameters = "application_name=one%20name&connect_timeout=3&options=-c%20search_path%3Davatar%20-c%20jit%3Don"
    ours = to(settings, f"{postgres_url}?{parameters}&channel_binding=prefer&gssencmode=disable")
    connection = await ours()
    shown = {
        name: await connection.fetchval(f"SHOW {name}")
        for name in ("application_name", "search_path", "jit", "timezone")
    }
    await connection.close()
    # what the program rests on stays as it is
    assert shown == {"application_name": "one name", "search_path": "avatar", "jit": "off", "timezone": "UTC"}
    assert ours._arguments["timeout"] == 3.0
    assert to(settings, postgres_url)._arguments["timeout"] == settings.postgres_connect_timeout


async def test_the_first_host_that_answers(settings: Settings, authority: str) -> None:
    user, _, address = authority.rpartition("@")
    connection = await to(settings, f"postgresql://{user}@127.0.0.1:{free_port()},{address}/fashion_wallet")()
    assert await connection.fetchval("SELECT 1") == 1
    await connection.close()


async def test_the_server_must_be_as_it_is_asked_for(settings: Settings, postgres_url: str) -> None:
    connection = await to(settings, f"{postgres_url}?target_session_attrs=read-write")()
    await connection.close()
    with pytest.raises(asyncpg.TargetServerAttributeNotMatched) as caught:
        await to(settings, f"{postgres_url}?target_session_attrs=standby")()
    assert (describe(caught.value) or "").count("\n") == 0


def test_certificates_of_the_url_win_over_the_settings(tmp_path: Path) -> None:
    given = parse("postgresql://h/d?sslmode=verify-ca&sslrootcert=/a.pem&sslcert=/b.pem").arguments("disable", "/c.pem")
    assert given["dsn"] == "postgresql://?sslmode=verify-ca&sslrootcert=%2Fa.pem&sslcert=%2Fb.pem"
    assert parse("postgresql://h/d?sslmode=verify-full").arguments("disable", "/c.pem")["dsn"] == (
        "postgresql://?sslmode=verify-full&sslrootcert=%2Fc.pem"
    )
    assert parse("postgresql://h/d").arguments("require", "/c.pem")["dsn"] == "postgresql://?sslmode=require"
    of_the_system = parse("postgresql://h/d?sslrootcert=system&sslmode=verify-full").arguments("disable", None)
    assert (of_the_system["dsn"], of_the_system["ssl"]) == ("postgresql://?", True)


async def test_a_certificate_that_is_not_there_is_one_line(settings: Settings, postgres_url: str) -> None:
    with pytest.raises(Exception, match=r"nowhere\.pem|No such file") as caught:
        await to(settings, f"{postgres_url}?sslmode=verify-full&sslrootcert=/nowhere.pem")()
    assert (describe(caught.value) or "").startswith("PostgreSQL: ")


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("postgresql://u:p%40ss@h:1/d%20b", (("h",), (1,), "u", "p@ss", "d b")),
        ("postgres://u:sla/sh?#@h/d", (("h",), (), "u", "sla/sh?#", "d")),
        ("postgresql+asyncpg://[::1]:5433,b.test/d", (("::1", "b.test"), (5433, 5432), None, None, "d")),
        ("postgresql://u@%2Frun%2Fpostgresql/d", (("/run/postgresql",), (), "u", None, "d")),
        ("postgresql:///d?host=/tmp", ((), (), None, None, "d")),
    ],
)
def test_parts(url: str, parts: tuple[object, ...]) -> None:
    found = parse(url)
    assert (found.hosts, found.ports, found.user, found.password, found.database) == parts


REFUSED = [
    ("?channel_binding=require", "the driver has no channel_binding=require: take it out of the URL"),
    ("?keepalives_idle=3&sslsni=1", "the driver has no keepalives_idle, sslsni: take it out of the URL"),
    ("?sslmode=always", "sslmode must be one of disable, allow, prefer, require, verify-ca, verify-full"),
    ("?sslrootcert=system&sslmode=require", "sslrootcert=system needs sslmode=verify-full"),
    ("?connect_timeout=soon", "connect_timeout must be a whole number of seconds"),
    ("?hunter2", "not a valid PostgreSQL URL"),
]


@pytest.mark.parametrize(("query", "line"), REFUSED)
@pytest.mark.parametrize("variable", ["DATABASE_URL", "MIGRATION_DATABASE_URL"])
def test_what_the_driver_lacks_is_named(
    query: str, line: str, variable: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(variable, f"postgresql://u:hunter2@h/d{query}")
    with pytest.raises(ConfigurationError, match=f"^{re.escape(f'{variable}: {line}')}$"):
        load_settings()


@pytest.mark.parametrize(
    "query", ["options=-c%20jit%3Doff", "target_session_attrs=read-write"], ids=["options", "target_session_attrs"]
)
def test_what_no_pooler_takes(settings: Settings, postgres_url: str, query: str) -> None:
    with pytest.raises(ConfigurationError, match=query.partition("=")[0]):
        to(settings, f"{postgres_url}?{query}", postgres_pooler="transaction")


def test_a_command_says_it_in_one_line(settings: Settings, postgres_url: str, tmp_path: Path) -> None:
    variables = environment(settings, DATABASE_URL=f"{postgres_url}?channel_binding=require")
    assert COMMAND
    with command("migrate", "show", folder=tmp_path, variables=variables) as process:
        assert process.process.wait(60) == 2
    assert process.text() == "Error: DATABASE_URL: the driver has no channel_binding=require: take it out of the URL\n"


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("::1", "postgresql://postgres@[::1]:5432/fashion_wallet"),
        ("/run/postgresql", "postgresql://postgres@%2Frun%2Fpostgresql:5432/fashion_wallet"),
        ("a.test", "postgresql://postgres@a.test:5432/fashion_wallet"),
    ],
)
def test_hosts_of_parts(host: str, url: str) -> None:
    assert Settings(_env_file=None, postgres_host=host).postgres_url == url
    assert parse(url).hosts == (host,)


@pytest.mark.parametrize(
    ("variable", "url", "line"),
    [
        ("MONGODB_URI", "mongodb://u:hunter2@h/?retryWrite=true", "Unknown option: retrywrite"),
        ("MONGODB_URI", "mongodb://u:hunter2@h/?retryWrites=no", "The value of retrywrites must be 'true' or 'false'"),
        ("MONGODB_URI", "mongodb://u:hunter2@h:99999/", "Port must be an integer between 0 and 65535"),
        ("REDIS_URL", "redis://:hunter2@h/?retries=3", "the driver has no retries"),
        (
            "REDIS_URL",
            "redis://:hunter2@h/?socket_timeout=soon",
            "Invalid value for 'socket_timeout' in connection URL",
        ),
    ],
)
async def test_other_connection_strings_too(settings: Settings, variable: str, url: str, line: str) -> None:
    changed = settings.model_copy(update={variable.lower().replace("mongodb_url", "mongodb_uri"): SecretStr(url)})
    with pytest.raises(ConfigurationError) as caught:
        async with running(changed):
            pass
    assert str(caught.value).removesuffix(".") == f"{variable}: {line}".removesuffix(".")


@pytest.mark.parametrize(("path", "name"), [("caf%C3%A9", "café"), ("", "fashion_wallet"), ("plain", "plain")])
async def test_names_of_mongodb_databases_are_percent_encoded(settings: Settings, path: str, name: str) -> None:
    there = settings.model_copy(update={"mongodb_uri": SecretStr(f"mongodb://h/{path}?replicaSet=a")})
    async with mongo_client(there) as client:
        assert mongo_database(there, client).name == name
    chosen = there.model_copy(update={"mongodb_database": "chosen"})
    async with mongo_client(chosen) as client:
        assert mongo_database(chosen, client).name == "chosen"


@pytest.mark.parametrize(
    ("url", "mode", "unverified"),
    [
        ("postgresql://u@db.example.com/x", "prefer", True),
        ("postgresql://u@db.example.com/x", "require", True),
        ("postgresql://u@db.example.com/x", "verify-ca", False),
        ("postgresql://u@db.example.com/x", "verify-full", False),
        ("postgresql://u@db.example.com/x?sslmode=require", "verify-full", True),
        ("postgresql://u@db.example.com/x?sslmode=verify-full", "disable", False),
        ("postgresql://u@db.example.com/x?sslrootcert=system", "prefer", False),
        ("postgresql://u@10.0.0.5,127.0.0.1/x", "prefer", True),
        ("postgresql://u@127.0.0.1,localhost:5433,[::1]/x", "disable", False),
        ("postgresql://u@%2Frun%2Fpostgresql/x", "disable", False),
        ("postgresql:///x", "disable", False),
        ("postgresql:///x?host=db.example.com", "prefer", True),
        ("postgresql:///x?host=/run/postgresql,localhost", "prefer", False),
    ],
)
def test_a_server_elsewhere_is_verified_or_not(url: str, mode: str, unverified: bool) -> None:
    assert goes_unverified(url, mode) is unverified


def test_production_verifies_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    given: dict[str, Any] = {
        "environment": "production",
        "mongodb_uri": "mongodb://db",
        "auth_secret": "a secret of the tests, with 32 bytes and more",
        "database_url": "postgresql://u@127.0.0.1/x",
    }
    there = {"database_url": "postgresql://u:hunter2@db/x"}
    parts = {"database_url": None, "postgres_host": "db", "postgres_password": "hunter2"}
    for elsewhere in (there, parts, {"migration_database_url": "postgresql://u:hunter2@db/x"}):
        with pytest.raises(ConfigurationError, match=r"^POSTGRES_SSL must be verify-full \(or verify-ca\)") as caught:
            load_settings(**given | elsewhere)
        assert "hunter2" not in str(caught.value)
        assert load_settings(**given | elsewhere, postgres_ssl="verify-full").postgres_ssl == "verify-full"
        assert load_settings(**given | elsewhere, postgres_ssl_unverified=True).postgres_ssl == "prefer"
        assert load_settings(**given | elsewhere | {"environment": "development"}).postgres_ssl == "disable"
    assert load_settings(**given).is_production
