"""GraphiQL: its files brought by npm, the page and its policy, and the page in a browser without internet."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import graphql
import httpx
import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from typer.testing import CliRunner

from api.commands.explorer import app as explorer_commands
from api.config.settings import Settings
from api.http import explorer
from api.http.explorer.assets import ASSETS, CDN, SCRIPTS, STYLES
from api.http.explorer.graphiql import samples
from api.http.responses.compression import LEAST
from api.schema import print_sdl
from api.stores.stores import Stores
from tests.support.applications import running
from tests.support.factories.users import create_user


def served(data_dir: Path) -> httpx.AsyncClient:
    """A client of nothing but the explorer."""
    settings = Settings(_env_file=None, data_dir=data_dir)

    async def page(_: Request) -> Response:
        return explorer.page(settings)

    app = Starlette(routes=[Route("/graphql", page), *explorer.routes(settings)])
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1")


def fake_npm(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put an npm before the real one, that runs the shell script in the folder where npm was started."""
    bin_dir = folder / "bin"
    bin_dir.mkdir()
    npm = bin_dir / "npm"
    npm.write_text(f"#!/bin/sh\n{script}\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_dir}{os.pathsep}{os.environ['PATH']}")


def test_install_brings_exactly_the_pinned_files(installed: Path) -> None:
    assert sorted(path.name for path in installed.iterdir()) == ["explorer"]
    assert {path.name for path in (installed / "explorer").iterdir()} == {asset.name for asset in ASSETS}


def test_install_again_needs_no_npm(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")

    assert explorer.install(installed) == installed / "explorer"


def test_install_repairs_a_damaged_folder(installed: Path, tmp_path: Path) -> None:
    damaged = shutil.copytree(installed / "explorer", tmp_path / "explorer")
    (damaged / SCRIPTS[0].name).write_text("alert(1)")
    (damaged / "graphiql-4.0.0.js").write_text("of an older release")

    explorer.install(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["explorer"]
    assert {path.name: path.read_bytes() for path in damaged.iterdir()} == {
        path.name: path.read_bytes() for path in (installed / "explorer").iterdir()
    }


def test_install_keeps_what_another_process_has_installed_meanwhile(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_dir = tmp_path / "data"
    script = f'cp -R "{installed / "explorer"}" "{data_dir}" && exec "{shutil.which("npm")}" "$@"'
    fake_npm(tmp_path, script, monkeypatch)

    explorer.install(data_dir)

    assert [path.name for path in data_dir.iterdir()] == ["explorer"]
    assert {path.name for path in (data_dir / "explorer").iterdir()} == {asset.name for asset in ASSETS}


def test_install_refuses_a_package_that_is_not_the_pinned_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_npm(tmp_path, "printf changed > react-18.3.1.tgz", monkeypatch)

    with pytest.raises(explorer.ExplorerError, match=r"^react 18\.3\.1 is not the pinned package: its hash differs$"):
        explorer.install(tmp_path / "data")

    assert list((tmp_path / "data").iterdir()) == []


def test_install_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(explorer.ExplorerError, match=r"^npm is not installed"):
        explorer.install(tmp_path / "data")

    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (
            "echo 'npm error code ENOTFOUND' >&2; exit 1",
            "npm can't reach its registry (ENOTFOUND); is there a network?",
        ),
        ("echo 'npm ERR! code EAI_AGAIN' >&2; exit 1", "npm can't reach its registry (EAI_AGAIN); is there a network?"),
        (
            "echo 'npm error code E404' >&2; echo 'npm error 404 http://secret@host' >&2; exit 1",
            "npm could not bring react@18.3.1, react-dom@18.3.1, graphiql@4.1.2, @graphiql/plugin-explorer@4.0.6, "
            "graphql-ws@5.16.2: E404 (npm's log has more)",
        ),
        (
            "exit 7",
            "npm could not bring react@18.3.1, react-dom@18.3.1, graphiql@4.1.2, @graphiql/plugin-explorer@4.0.6, "
            "graphql-ws@5.16.2: exit status 7 (npm's log has more)",
        ),
        ("true", "npm did not make react-18.3.1.tgz"),
        ("exec sleep 60", "npm did not finish within 0.5 s"),
    ],
)
def test_install_says_why_npm_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, message: str
) -> None:
    fake_npm(tmp_path, script, monkeypatch)

    with pytest.raises(explorer.ExplorerError) as caught:
        explorer.install(tmp_path / "data", timeout=0.5 if "sleep" in script else 30)

    assert str(caught.value) == message
    assert list((tmp_path / "data").iterdir()) == []


def test_the_command_installs_or_says_why_not(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    done = CliRunner().invoke(explorer_commands, ["install", "--data-dir", str(installed)])
    refused = CliRunner().invoke(explorer_commands, ["install", "--data-dir", str(tmp_path / "file")])

    assert (done.exit_code, done.output.replace("\n", "")) == (
        0,
        f"The explorer is installed in {installed / 'explorer'}.",
    )
    assert refused.exit_code == 1
    assert f"The explorer was not installed. {tmp_path / 'file'} can't be written: File exists" in refused.output


@pytest.mark.anyio
async def test_the_page_loads_the_installed_files(installed: Path) -> None:
    async with served(installed) as client:
        page = await client.get("/graphql")

    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert re.findall(r'(?:src|href)="(graphql/[^"]+)" integrity="([^"]+)"', page.text) == [
        (f"graphql/assets/{asset.name}", asset.integrity) for asset in (*STYLES, *SCRIPTS)
    ]
    assert CDN not in page.text + page.headers["content-security-policy"]


@pytest.mark.anyio
async def test_the_policy_lets_only_this_answers_elements_work(installed: Path) -> None:
    async with served(installed) as client:
        pages = [await client.get("/graphql") for _ in range(2)]

    nonces = []
    for page in pages:
        found = re.search(r"'nonce-([\w-]{22})'", page.headers["content-security-policy"])
        assert found is not None
        nonces.append(found[1])
        assert page.headers["content-security-policy"] == (
            f"default-src 'none'; script-src 'nonce-{found[1]}'; style-src 'nonce-{found[1]}'; font-src data:; "
            "img-src 'self' data: https: http://127.0.0.1:*; connect-src 'self'; base-uri 'none'; form-action 'none'; "
            "frame-ancestors 'none'"
        )
        elements = re.findall(r"<(?:script|style|link nonce)[^>]*>", page.text)
        assert len(elements) == len(SCRIPTS) + len(STYLES) + 3
        assert all(f'nonce="{found[1]}"' in element for element in elements)
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["referrer-policy"] == "same-origin"
        assert page.headers["cross-origin-opener-policy"] == "same-origin"
        assert page.headers["cross-origin-resource-policy"] == "same-origin"
        assert page.headers["x-content-type-options"] == "nosniff"
    assert nonces[0] != nonces[1]


@pytest.mark.anyio
async def test_without_files_the_page_loads_the_cdns_and_checks_them(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        page = await client.get("/graphql")
        asset = await client.get(f"/graphql/assets/{SCRIPTS[0].name}")

    assert re.findall(r'"(https://[^"]+)" integrity="([^"]+)" crossorigin="anonymous"', page.text) == [
        (f"{CDN}/{asset.package.name}@{asset.package.version}/{asset.path}", asset.integrity)
        for asset in (*STYLES, *SCRIPTS)
    ]
    assert "http" not in page.headers["content-security-policy"].replace(
        "img-src 'self' data: https: http://127.0.0.1:*;", ""
    )
    assert asset.status_code == 404


@pytest.mark.anyio
async def test_files_that_were_changed_are_not_served(installed: Path, tmp_path: Path) -> None:
    shutil.copytree(installed / "explorer", tmp_path / "explorer")
    (tmp_path / "explorer" / SCRIPTS[2].name).write_text("alert(1)")

    async with served(tmp_path) as client:
        page = await client.get("/graphql")
        assets = [await client.get(f"/graphql/assets/{asset.name}") for asset in ASSETS]

    assert SCRIPTS[2].cdn_url in page.text
    assert {asset.status_code for asset in assets} == {404}


@pytest.mark.anyio
async def test_files_installed_later_are_found_without_a_restart(installed: Path, tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        before = await client.get("/graphql")
        shutil.copytree(installed / "explorer", tmp_path / "explorer")
        after = await client.get("/graphql")

    assert CDN in before.text
    assert CDN not in after.text


@pytest.mark.anyio
async def test_files_are_cached_for_ever(installed: Path) -> None:
    types = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}
    async with served(installed) as client:
        for asset in (*SCRIPTS, *STYLES):
            path = f"/graphql/assets/{asset.name}"
            answer = await client.get(path, headers={"accept-encoding": "identity"})
            again = await client.get(path, headers={"if-none-match": f'"x", W/{answer.headers["etag"]}'})
            small = await client.get(path, headers={"accept-encoding": "gzip"})
            other = await client.get(f"/graphql/assets/{asset.name}", headers={"if-none-match": '"x"'})

            assert answer.content == (installed / "explorer" / asset.name).read_bytes()
            assert answer.headers["content-type"] == types[Path(asset.name).suffix]
            assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
            assert answer.headers["etag"] == f'"{asset.integrity}"'
            assert answer.headers["vary"] == small.headers["vary"] == "Accept-Encoding"
            assert small.content == answer.content
            if len(answer.content) >= LEAST:
                assert small.headers["content-encoding"] == "gzip"
                assert small.headers["etag"] == f'W/"{asset.integrity}"'
                assert int(small.headers["content-length"]) < len(answer.content)
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert (again.status_code, again.content) == (304, b"")
            assert other.status_code == 200


@pytest.mark.anyio
@pytest.mark.parametrize(
    "name",
    [
        "package.json",
        "",
        "%2e%2e",
        "%2e%2e%2fsecret",
        "%2e%2e/%2e%2e/secret",
        "..%5c..%5csecret",
        "%2fetc%2fpasswd",
        "react-18.3.1.js%00",
        "react-18.3.1.js%2f..%2f..%2fsecret",
    ],
)
async def test_only_the_pinned_names_are_served(installed: Path, name: str) -> None:
    async with served(installed) as client:
        answer = await client.get(f"/graphql/assets/{name}")

    assert answer.request.url.raw_path == f"/graphql/assets/{name}".encode()
    assert answer.status_code == 404


def test_a_disabled_explorer_has_no_routes(installed: Path) -> None:
    assert explorer.routes(Settings(_env_file=None, data_dir=installed, explorer=False)) == []


@pytest.mark.parametrize(("query", "variables"), samples())
def test_samples_fit_the_schema_and_their_variables_them(query: str, variables: str) -> None:
    schema, document = graphql.build_schema(print_sdl()), graphql.parse(query)
    declared = {
        definition.variable.name.value
        for operation in document.definitions
        if isinstance(operation, graphql.OperationDefinitionNode)
        for definition in operation.variable_definitions or ()
    }

    assert graphql.validate(schema, document) == []
    assert set(json.loads(variables or "{}")) == declared


def test_samples_hold_no_password() -> None:
    # the page keeps its tabs in the browser's storage
    assert [query for query, variables in samples() if "password" in (query + variables).lower()] == []


def options(page: httpx.Response) -> Any:
    """What the page is told."""
    found = re.search(r'id="options">(.*)</script>', page.text)
    assert found is not None
    return json.loads(found[1])


HTML = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
QUERY = "{ __typename }"


@pytest.mark.anyio
async def test_a_link_with_a_query_opens_the_page(settings: Settings, clean_stores: None) -> None:
    async with running(settings) as (_, client):
        page = await client.get("/graphql", params={"query": "{ <b> }", "variables": "{}"}, headers=HTML)

    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "<b>" not in page.text


@pytest.mark.anyio
@pytest.mark.parametrize(
    "headers",
    [
        {"accept": "application/json"},
        {"accept": "text/html, application/graphql-response+json;q=0.9"},
        {"accept": "text/html, */*", "x-requested-with": "fetch"},
    ],
)
async def test_a_client_that_wants_data_gets_the_answer_to_a_query(
    settings: Settings, clean_stores: None, headers: dict[str, str]
) -> None:
    async with running(settings) as (_, client):
        answer = await client.get("/graphql", params={"query": QUERY}, headers=headers)

    assert answer.json() == {"data": {"__typename": "Query"}}


@pytest.mark.anyio
@pytest.mark.parametrize("parameters", [{"documentId": "sha256:00"}, {"query": QUERY, "extensions": "{}"}])
async def test_a_link_that_the_page_could_not_show_is_a_request(
    settings: Settings, clean_stores: None, parameters: dict[str, str]
) -> None:
    async with running(settings) as (_, client):
        answer = await client.get("/graphql", params=parameters, headers=HTML)

    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/json; charset=utf-8")


@pytest.mark.anyio
async def test_only_demo_accounts_that_can_sign_in_are_offered(settings: Settings, stores: Stores) -> None:
    for role in ("user", "brand", "admin"):
        await create_user(stores, email=f"{role}@fashion-wallet.test", role=role, is_active=role != "brand")
    await create_user(stores, email="somebody@fashion-wallet.test", role="user")

    async with running(settings) as (_, client):
        told = options(await client.get("/graphql", headers=HTML))

    assert told["accounts"] == [
        {"email": "admin@fashion-wallet.test", "role": "admin"},
        {"email": "user@fashion-wallet.test", "role": "user"},
    ]
    assert told["password"] == "fashion-wallet"


@pytest.mark.anyio
async def test_a_password_of_ones_own_is_not_in_the_page(settings: Settings, stores: Stores) -> None:
    await create_user(stores, email="admin@fashion-wallet.test", role="admin")

    async with running(settings, demo_password=SecretStr("of my own")) as (_, client):
        page = await client.get("/graphql", headers=HTML)

    assert (len(options(page)["accounts"]), options(page)["password"]) == (1, None)
    assert "of my own" not in page.text


@pytest.mark.anyio
async def test_production_offers_no_demo_accounts(settings: Settings, stores: Stores) -> None:
    await create_user(stores, email="admin@fashion-wallet.test", role="admin")

    async with running(settings, environment="production", explorer=True) as (_, client):
        page = await client.get("/graphql", headers=HTML)

    assert (options(page)["accounts"], options(page)["password"]) == ([], None)
    assert "fashion-wallet.test" not in page.text


@pytest.mark.anyio
async def test_the_page_opens_without_postgresql(settings: Settings, clean_stores: None) -> None:
    nowhere = SecretStr("postgresql://me:secret@127.0.0.1:1/x")

    async with running(settings, database_url=nowhere) as (_, client):
        page = await client.get("/graphql", headers=HTML)

    assert (page.status_code, options(page)["accounts"]) == (200, [])
