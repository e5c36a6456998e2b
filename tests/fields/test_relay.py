"""Relay, as npm has it, on this schema: with `@throwOnFieldError` nothing is null that only an outage makes null."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from pydantic import SecretStr
from starlette.applications import Starlette

from api.config.settings import Settings
from api.embedded.daemons import free_port
from tests.support.applications import running
from tests.support.factories.designs import create_design
from tests.support.graphql import respond
from tests.support.requests.npm import node_folder

pytestmark = [pytest.mark.anyio, pytest.mark.executed_once]

PACKAGES: Final = ("relay-compiler@21.0.1", "relay-runtime@21.0.1")
SELECTION: Final = "{ designs(first: 5) { totalCount edges { node { name } } nodes { name } } }"
QUERIES: Final = {
    "throwingQuery": f"query throwingQuery @throwOnFieldError {SELECTION}",
    "plainQuery": f"query plainQuery {SELECTION}",
}
UNAVAILABLE: Final = ["STORE_UNAVAILABLE"] * 3


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with Relay, the schema's file and the queries, which are still to be compiled."""
    here = Path(__file__).parent
    folder = node_folder(tmp_path_factory.mktemp("relay"), here / "relay.cjs", *PACKAGES)
    shutil.copy(here.parents[1] / "schema.graphql", folder)
    return folder


def compiled(folder: Path, language: str, ending: str) -> dict[str, str]:
    """What Relay's compiler makes of the queries, by their names."""
    source, made = folder / "src", folder / "src/__generated__"
    shutil.rmtree(source, ignore_errors=True)
    made.mkdir(parents=True)
    for name, query in QUERIES.items():
        (source / f"{name.removesuffix('Query')}.{ending}").write_text(f"graphql`{query}`;\n")
    config = {
        "src": "./src",
        "schema": "./schema.graphql",
        "language": language,
        "artifactDirectory": "./src/__generated__",
        "eagerEsModules": False,
    }
    (folder / "relay.config.json").write_text(json.dumps(config))
    command = ["node", "node_modules/relay-compiler/cli.js", "relay.config.json"]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stdout + run.stderr
    return {name: (made / f"{name}.graphql.{ending}").read_text("utf-8") for name in QUERIES}


def type_of(artifact: str) -> str:
    """The type of the data in a compiled query, without blanks."""
    found = re.search(r"\$data = (\{.*?\n\});", artifact, re.DOTALL)
    assert found
    return re.sub(r"readonly |\s", "", found[1])


def test_types_have_no_nulls(relay: Path) -> None:
    types = {name: type_of(text) for name, text in compiled(relay, "typescript", "ts").items()}

    assert types["throwingQuery"] == (
        "{designs:{edges:ReadonlyArray<{node:{name:string;};}>;nodes:ReadonlyArray<{name:string;}>;totalCount:number;};}"
    )
    assert types["plainQuery"].count("|null|undefined") == 4


async def test_an_outage_is_thrown(relay: Path, app: Starlette, client: httpx.AsyncClient, settings: Settings) -> None:
    await create_design(app.state.stores, name="Evening", status="published")
    compiled(relay, "javascript", "js")
    whole = await respond(client, SELECTION)
    down = SecretStr(f"mongodb://127.0.0.1:{free_port()}/x")
    async with running(settings, mongodb_uri=down, mongodb_selection_timeout=0.2) as (_, cut_off):
        broken = await respond(cut_off, SELECTION)
    assert [error["extensions"]["code"] for error in broken["errors"]] == UNAVAILABLE
    assert broken["data"] == {"designs": {"totalCount": None, "edges": None, "nodes": None}}

    def read(name: str) -> list[Any]:
        run = subprocess.run(
            ["node", "relay.cjs", name],
            cwd=relay,
            input=json.dumps([whole, broken]),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert run.returncode == 0, run.stderr
        answers: list[Any] = json.loads(run.stdout)
        return answers

    assert whole["data"]["designs"]["totalCount"] == 1
    assert read("plainQuery") == [{"data": whole["data"]}, {"data": broken["data"]}]
    [first, second] = read("throwingQuery")
    assert first == {"data": whole["data"]}
    assert second == {"error": "Relay: Unexpected response payload - check server logs for details."}
