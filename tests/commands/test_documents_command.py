"""`fashion-wallet documents`: what is registered from files, listed and removed, and what is refused."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from anyio import to_thread
from starlette.applications import Starlette
from typer.testing import CliRunner

from api.admission.trusted.identifiers import identifier_of
from api.commands.main import app as command
from api.config.settings import Settings
from api.stores.stores import Stores
from tests.support.servers import environment

pytestmark = pytest.mark.anyio

NAMES = "query Names { catalogItems { nodes { name } } }\n"
TWO = "query One { viewer { id } }\r\nquery Two { __typename }"
NO_MANIFEST = "is no manifest: neither Apollo's nor an object of documents by identifier"
RELAY = "b8e0a1d4c0ffee00b8e0a1d4c0ffee00"

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(settings: Settings, clean_stores: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs `fashion-wallet documents` in an empty folder, in a thread: exit code, and what it says."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(command, ["documents", *arguments])
        return result.exit_code, result.output

    return run


def write(folder: Path, **files: str) -> None:
    """Files by name, their dots written as `__`."""
    for name, content in files.items():
        path = folder / name.replace("__", ".")
        path.write_bytes(content.encode())


def apollo(*documents: str) -> str:
    """A manifest as Apollo's tool writes it."""
    return json.dumps(
        {
            "format": "apollo-persisted-query-manifest",
            "version": 1,
            "operations": [
                {"id": hashlib.sha256(document.encode()).hexdigest(), "name": "N", "type": "query", "body": document}
                for document in documents
            ],
        }
    )


def test_documents_are_registered_listed_and_removed(run: Run, tmp_path: Path) -> None:
    below = tmp_path / "queries" / "deep"
    below.mkdir(parents=True)
    write(tmp_path / "queries", names__graphql=NAMES, relay__json=json.dumps({RELAY: "{ __typename }"}))
    write(below, two__gql=TWO, apollo__json=apollo(NAMES), notes__md="# not read")

    assert run("add", "queries") == (0, "Registered: 4.\n")
    assert run("add", "queries") == (0, "Registered: 0; 4 were there already.\n")

    code, listed = run("list")
    assert code == 0
    assert re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "time", listed).splitlines() == [
        f"{identifier_of(NAMES)}  Names  time",
        f"{identifier_of(TWO)}  One, Two  time",
        f"{RELAY}  query  time",
        f"{identifier_of('{ __typename }')}  query  time",
    ]

    unknown = identifier_of("unknown")
    assert run("remove", RELAY, unknown) == (1, f"Error: Not registered: {unknown}\n")
    assert len(run("list")[1].splitlines()) == 4
    assert run("remove", RELAY, identifier_of(TWO).removeprefix("sha256:")) == (0, "Removed: 2.\n")
    assert [line.split()[1] for line in run("list")[1].splitlines()] == ["Names", "query"]


@pytest.mark.parametrize(
    ("files", "problems"),
    [
        ({}, ["queries has no documents: no file *.graphql, *.gql or *.json with any"]),
        ({"a__graphql": "{ viewer { id }"}, ["queries/a.graphql: line 1: Syntax Error: Expected Name, found <EOF>."]),
        (
            {"a__graphql": "\n{ viewer { ids } }"},
            ["queries/a.graphql: line 2: Cannot query field 'ids' on type 'User'. Did you mean 'id'?"],
        ),
        (
            {"a__graphql": "fragment F on User { id }"},
            ["queries/a.graphql: line 1: Fragment 'F' is never used."],
        ),
        (
            {"a__json": "[]"},
            [f"queries/a.json: {NO_MANIFEST}"],
        ),
        (
            {"a__json": '{"a": 1}'},
            [f"queries/a.json: {NO_MANIFEST}"],
        ),
        (
            {"a__json": json.dumps({"0" * 64: "{ __typename }"})},
            [f"queries/a.json, {'0' * 64}: the identifier looks like a SHA-256 and is not that of the document"],
        ),
        (
            {"a__json": json.dumps({"md5:0": "{ __typename }"})},
            [
                "queries/a.json, md5:0: A document's identifier is sha256: with 64 hexadecimal digits, or letters, "
                "digits and any of -._~, perhaps after a prefix such as x-name:"
            ],
        ),
        (
            {"a__json": json.dumps({"one": "{ __typename }"}), "b__json": json.dumps({"one": "{ viewer { id } }"})},
            ["queries/b.json, one: another document has the identifier one, too"],
        ),
        (
            {"a__json": json.dumps({"format": "apollo-persisted-query-manifest", "version": 2})},
            ["queries/a.json: is no manifest of Apollo's version 1"],
        ),
    ],
)
def test_where_one_is_wrong_none_is_registered(
    run: Run, tmp_path: Path, files: dict[str, str], problems: list[str]
) -> None:
    (tmp_path / "queries").mkdir()
    write(tmp_path / "queries", **files)
    if files:
        write(tmp_path / "queries", good__graphql=NAMES)

    code, said = run("add", "queries")

    assert code == 1
    assert said.splitlines() == [f"Error: {problems[0]}", *problems[1:]]
    assert run("list") == (0, "")


def test_an_identifier_keeps_its_document(run: Run, tmp_path: Path) -> None:
    write(tmp_path, a__json=json.dumps({"one": "{ __typename }"}), b__json=json.dumps({"one": "{ viewer { id } }"}))
    assert run("add", "a.json")[0] == 0

    assert run("add", "b.json") == (1, "Error: Another document has this identifier already, remove it first: one\n")

    assert {line.split()[0] for line in run("list")[1].splitlines()} == {"one", identifier_of("{ __typename }")}
    assert run("remove", "one")[0] == 0
    assert run("add", "b.json") == (0, "Registered: 2.\n")


async def test_a_client_asks_for_what_the_command_registered(
    run: Run, app: Starlette, stores: Stores, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    write(tmp_path, typename__graphql="{ __typename }")
    assert await to_thread.run_sync(run, "add", "typename.graphql") == (0, "Registered: 1.\n")

    response = await client.post("/graphql", json={"documentId": identifier_of("{ __typename }")})

    assert response.json() == {"data": {"__typename": "Query"}}
