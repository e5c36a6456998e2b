"""GraphiQL: its files brought by npm, the page and its policy, and the page in a browser without internet."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import graphql
import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from typer.testing import CliRunner

from api import explorer
from api.config import Settings
from api.explorer.assets import ASSETS, CDN, SCRIPTS, STYLES
from api.explorer.graphiql import samples
from tests.browser import find_chromium, open_page
from tests.servers import Server


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder into which npm has brought the files. Tests don't change it."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed: the explorer's files can't be brought")
    data_dir = tmp_path_factory.mktemp("explorer")
    try:
        explorer.install(data_dir)
    except explorer.ExplorerError as error:
        if "can't reach its registry" in str(error):
            pytest.skip(f"the explorer's files can't be brought: {error}")
        raise
    return data_dir


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
            "npm could not bring react@18.3.1, react-dom@18.3.1, graphiql@4.1.2, @graphiql/plugin-explorer@4.0.6: "
            "E404 (npm's log has more)",
        ),
        (
            "exit 7",
            "npm could not bring react@18.3.1, react-dom@18.3.1, graphiql@4.1.2, @graphiql/plugin-explorer@4.0.6: "
            "exit status 7 (npm's log has more)",
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

    done = CliRunner().invoke(explorer.app, ["install", "--data-dir", str(installed)])
    refused = CliRunner().invoke(explorer.app, ["install", "--data-dir", str(tmp_path / "file")])

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
            "img-src 'self' data: https:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
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
    assert "http" not in page.headers["content-security-policy"].replace("img-src 'self' data: https:;", "")
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
            answer = await client.get(f"/graphql/assets/{asset.name}")
            again = await client.get(
                f"/graphql/assets/{asset.name}", headers={"if-none-match": f'"x", W/{answer.headers["etag"]}'}
            )
            other = await client.get(f"/graphql/assets/{asset.name}", headers={"if-none-match": '"x"'})

            assert answer.content == (installed / "explorer" / asset.name).read_bytes()
            assert answer.headers["content-type"] == types[Path(asset.name).suffix]
            assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
            assert answer.headers["etag"] == f'"{asset.integrity}"'
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


@pytest.mark.parametrize("sample", samples())
def test_samples_fit_the_schema(sample: str) -> None:
    from api.schema import print_sdl

    assert graphql.validate(graphql.build_schema(print_sdl()), graphql.parse(sample)) == []


@pytest.fixture
def installed_for_server(settings: Settings, installed: Path) -> Iterator[None]:
    """The files are in the data folder of the `server` fixture during the test."""
    folder = shutil.copytree(installed / "explorer", settings.data_dir / "explorer", dirs_exist_ok=True)
    yield
    shutil.rmtree(folder)


@pytest.mark.usefixtures("installed_for_server")
def test_graphiql_answers_without_internet(server: Server, tmp_path: Path) -> None:
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("no Chromium is installed: the explorer can't be opened")
    # given a server whose folder has the files, and a browser that reaches no other host
    with open_page(chromium, tmp_path / "profile") as page:
        # when the page has rendered and read the schema, and the first sample query is run
        page.open(f"{server.url}/graphql")
        page.wait_for(
            "document.querySelector('.graphiql-query-editor .CodeMirror')?.CodeMirror.options.lint.schema != null"
        )
        tabs = page.evaluate("[...document.querySelectorAll('.graphiql-tab-button')].map(tab => tab.textContent)")
        page.evaluate("document.querySelector('.graphiql-execute-button').click()")
        answer = page.wait_for("document.querySelector('.result-window .CodeMirror')?.CodeMirror.getValue()")

        # then its answer is shown, and everything came from the server
        assert json.loads(answer) == {
            "data": {
                "catalogItems": {
                    "totalCount": 0,
                    "nodes": [],
                    "pageInfo": {"hasNextPage": False, "endCursor": None},
                }
            }
        }
        # and the settings, whose dialog brings a style of its own, open
        page.evaluate("[...document.querySelectorAll('.graphiql-sidebar button')].at(-1).click()")
        page.wait_for("document.querySelector('[role=dialog]')?.textContent.includes('Theme')")
        assert tabs == ["Catalog", "SignIn", "Designs", "Users"]
        assert page.evaluate("document.title") == "Fashion Wallet · GraphiQL"
        assert page.evaluate("[...document.querySelectorAll('button')].some(b => b.textContent == 'Headers')") is True
        assert {url.partition("/graphql")[0] for url in page.requests if not url.startswith("data:")} == {server.url}
        assert page.problems == []
