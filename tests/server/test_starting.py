"""What a process does while its stores are not there yet, not migrated, or too new; and what it logs of its life."""

from __future__ import annotations

import contextlib
import os
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from pydantic import SecretStr

from api.config.settings import Settings
from api.stores.postgres.schema_revisions import known
from migrations.runner import downgrade, upgrade
from tests.support.failures.restartable import restartable_stores
from tests.support.processes import run, start
from tests.support.servers import Server, children, command, ended, environment, serving, wait_until
from tests.support.stores.databases import HEAD, REVISIONS, fresh_database, sql

ITEMS = {"query": "{ catalogItems(first: 1) { totalCount } }"}
UNMIGRATED = "the database is not migrated: run `fashion-wallet migrate run`"


@pytest.fixture
def empty(postgres_url: str, mongodb_url: str) -> Iterator[Settings]:
    with fresh_database(postgres_url, mongodb_url) as settings:
        yield settings


def lines(server: Server) -> list[dict[str, Any]]:
    """The lines of a log in JSON, of which nothing else is among the output."""
    return [orjson.loads(line) for line in server.text().splitlines()]


def events(server: Server, *names: str) -> list[dict[str, Any]]:
    return [line for line in lines(server) if line["event"] in names]


@contextlib.contextmanager
def starting(settings: Settings, folder: Path, *arguments: str, **variables: str) -> Iterator[Server]:
    """A `serve` process that listens; whether it is ready is the test's affair. It logs in JSON."""
    given = environment(settings, LOG_FORMAT="json", **variables)
    with command("serve", "--port", "0", *arguments, folder=folder, variables=given) as server:
        wait_until(lambda: server.process.poll() is not None or events(server, "starting"), "its address")
        server.url = events(server, "starting")[0]["address"]
        wait_until(lambda: answers(server), "an answer")
        yield server


def answers(server: Server) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"{server.url}/livez", timeout=30).is_success
    return False


def readiness(server: Server) -> tuple[int, dict[str, str]]:
    response = httpx.get(f"{server.url}/readyz", timeout=30)
    return response.status_code, response.json().get("errors", {})


def test_the_revisions_are_those_that_alembic_knows() -> None:
    revisions, head = known()
    assert head == HEAD
    assert revisions == {line.partition(" ")[0] for line in REVISIONS}


def test_a_database_that_is_not_migrated_is_said_until_it_is(empty: Settings, tmp_path: Path) -> None:
    with starting(empty, tmp_path) as server:
        assert readiness(server) == (503, {"postgres": UNMIGRATED})
        # nothing is INTERNAL, and the log is not a traceback a request
        answer = httpx.post(f"{server.url}/graphql", json=ITEMS, timeout=30).json()
        assert answer["errors"][0]["extensions"]["code"] == "STORE_UNAVAILABLE"
        assert not events(server, "ready")
        assert [line["error"] for line in events(server, "store does not answer")] == [UNMIGRATED]

        upgrade(empty)

        wait_until(lambda: events(server, "ready"), "readiness")
        wait_until(lambda: readiness(server)[0] == 200, "readiness")
        assert httpx.post(f"{server.url}/graphql", json=ITEMS, timeout=30).json()["data"] == {
            "catalogItems": {"totalCount": 0}
        }
        assert "Traceback" not in server.text()


def test_a_database_behind_or_ahead_is_said(empty: Settings, tmp_path: Path) -> None:
    upgrade(empty)
    downgrade(empty, "-1")
    current = sql(empty, "SELECT version_num FROM shared.alembic_version")[0][0]
    with starting(empty, tmp_path) as server:
        reason = f"the database is at revision {current}, before {HEAD}: run `fashion-wallet migrate run`"
        assert readiness(server) == (503, {"postgres": reason})

    upgrade(empty)
    with starting(empty, tmp_path) as server:
        wait_until(lambda: readiness(server)[0] == 200, "readiness")
        # a newer version migrates it while this one runs: those that serve go on
        sql(empty, "UPDATE shared.alembic_version SET version_num = 'ffffffffffff'")
        assert readiness(server) == (200, {})
        assert "data" in httpx.post(f"{server.url}/graphql", json=ITEMS, timeout=30).json()
    with starting(empty, tmp_path) as server:
        reason = "the database is at revision ffffffffffff, made by a newer version of this program: run that one"
        assert readiness(server) == (503, {"postgres": reason})


@pytest.mark.parametrize(
    "arguments",
    [
        ("documents", "list"),
        ("documents", "add", "."),
        ("reconcile",),
        ("user", "create", "--email", "a@b.test", "--password-stdin"),
        ("serve", "--port", "0", "--require-stores"),
    ],
    ids=["documents list", "documents add", "reconcile", "user create", "serve"],
)
def test_commands_say_that_it_is_not_migrated(empty: Settings, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (tmp_path / "a.graphql").write_text("query A { __typename }")
    variables = environment(empty, LOG_LEVEL="error")
    done = run(*arguments, folder=tmp_path, variables=variables, given="a long enough password\n")
    assert (done.returncode, done.stderr) == (1, f"Error: PostgreSQL: {UNMIGRATED}\n")


def test_serve_begins_while_the_stores_are_down(tmp_path: Path) -> None:
    with restartable_stores() as stores:
        settings = stores.settings(log_level="info")
        upgrade(settings)
        for each in stores.servers.values():
            each.kill()
        with starting(settings, tmp_path, MONGODB_SELECTION_TIMEOUT="0.5") as server:
            status, errors = readiness(server)
            assert (status, sorted(errors)) == (503, ["mongodb", "postgres"])
            assert errors["postgres"] == "connection refused"
            answer = httpx.post(f"{server.url}/graphql", json=ITEMS, timeout=30).json()
            assert answer["errors"][0]["extensions"]["code"] == "STORE_UNAVAILABLE"

            for each in stores.servers.values():
                each.start()
            wait_until(lambda: readiness(server)[0] == 200, "readiness")
            wait_until(lambda: events(server, "ready"), "the line")
            assert httpx.post(f"{server.url}/graphql", json=ITEMS, timeout=30).json()["data"] == {
                "catalogItems": {"totalCount": 0}
            }


def test_the_log_tells_a_process_life(settings: Settings, clean_stores: None, tmp_path: Path) -> None:
    told = settings.model_copy(update={"log_level": "info"})
    with serving(
        "serve",
        "--port",
        "0",
        folder=tmp_path,
        variables=environment(told, LOG_FORMAT="json", SHUTDOWN_DELAY="1", EXPLORER="false"),
    ) as server:
        wait_until(lambda: readiness(server)[0] == 200, "readiness")
        assert server.stop() == 0
        told_events = [line["event"] for line in lines(server)]
        assert told_events == ["starting", "serving", "ready", "stopping", "stopped"]
        (stopping,) = events(server, "stopping")
        assert (stopping["signal"], stopping["delay"], stopping["pid"]) == ("SIGTERM", 1, server.process.pid)
        assert all(line["level"] == "info" and line["timestamp"] for line in lines(server))


def test_the_death_of_a_worker_is_told_and_it_is_replaced(
    settings: Settings, clean_stores: None, tmp_path: Path
) -> None:
    told = settings.model_copy(update={"log_level": "info"})
    variables = environment(told, LOG_FORMAT="json")
    with serving("serve", "--port", "0", "--workers", "2", folder=tmp_path, variables=variables) as server:
        wait_until(lambda: len(events(server, "serving")) == 2, "both workers")
        victim = min(children(server))
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: len(events(server, "serving")) == 3, "another worker")
        (died,) = events(server, "worker died")
        assert (died["pid"], died["exit_code"], died["level"]) == (victim, -9, "error")
        assert server.stop() == 0
        assert [line["workers"] for line in events(server, "stopping", "stopped") if "workers" in line] == [2, 2]


def test_a_log_that_nobody_reads_stops_nothing(settings: Settings, clean_stores: None, tmp_path: Path) -> None:
    variables = environment(settings.model_copy(update={"log_level": "info"}), LOG_FORMAT="json")
    # a request's line has some 300 bytes, so 400 of them fill the pipe twice
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as log, Path(os.devnull).open("r+b") as nothing:
        streams = {"stdin": nothing.fileno(), "stdout": nothing.fileno(), "stderr": writing}
        process = start("serve", "--port", "0", folder=tmp_path, variables=variables, **streams)
        os.close(writing)
        try:
            url = orjson.loads(log.readline())["address"]
            server = Server(process, tmp_path, url)
            wait_until(lambda: answers(server), "an answer")
            with httpx.Client(base_url=url, timeout=30) as client:
                for _ in range(400):
                    assert client.post("/graphql", json={"query": "{ __typename }"}).status_code == 200
            process.terminate()
            rest = log.read().splitlines()
            assert process.wait(30) == 0
        finally:
            process.kill()
    assert sum(orjson.loads(line)["event"] == "request" for line in rest) == 400


def test_too_many_connections_names_the_setting(empty: Settings, tmp_path: Path) -> None:
    upgrade(empty)
    assert empty.postgres_url is not None
    role = f"few_{uuid.uuid4().hex}"
    sql(empty, f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 0")
    few = empty.model_copy(
        update={"database_url": SecretStr(empty.postgres_url.replace("//postgres@", f"//{role}@")), "log_level": "info"}
    )
    try:
        with starting(few, tmp_path) as server:
            status, errors = readiness(server)
            assert (status, errors["postgres"]) == (
                503,
                "too many connections at the server: lower POSTGRES_POOL_SIZE or WORKERS, or raise the limit there",
            )
        code, output = ended("documents", "list", folder=tmp_path, variables=environment(few), output="list.txt")
        assert (code, output) == (
            1,
            f'Error: PostgreSQL: too many connections for role "{role}" '
            "(lower POSTGRES_POOL_SIZE or WORKERS of those that serve, or raise the limit there)\n",
        )
    finally:
        sql(empty, f"DROP ROLE {role}")
