"""`serve` and `dev` as processes: readiness, draining, workers, and what they refuse."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio.to_thread
import asyncpg
import httpx
import psutil  # type: ignore[import-untyped]
import pytest

import api
from api.commands.development import require_development
from api.config.settings import ConfigurationError, Settings
from api.server.processes import listen, url_of
from api.stores.startup_errors import ServerError
from tests.support.servers import CLOSED, Server, children, ended, environment, is_alive, serving, wait_until
from tests.support.stores.folders import throwaway_folder
from tests.support.waiting import pause

pytestmark = pytest.mark.anyio

ITEMS = {"query": "{ catalogItems(first: 1) { nodes { name } } }"}
NO_ITEMS: dict[str, Any] = {"data": {"catalogItems": {"nodes": []}}}


def listens(url: str) -> bool:
    host, port = url.removeprefix("http://").split(":")
    with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
        return True
    return False


@pytest.fixture
async def blocked_items(postgres_url: str, anyio_backend: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A connection whose transaction holds the catalog, so that reading items waits."""
    connection = await asyncpg.connect(postgres_url)
    async with connection.transaction():
        await connection.execute("LOCK TABLE catalog.catalog_items IN ACCESS EXCLUSIVE MODE")
        yield connection
    await connection.close()


async def a_reader_waits(postgres_url: str) -> None:
    """Return once a statement of the application waits for a lock."""
    connection = await asyncpg.connect(postgres_url)
    try:
        waiting = (
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE application_name = 'fashion-wallet' AND wait_event_type = 'Lock'"
        )
        with anyio.fail_after(30):
            while not await connection.fetchval(waiting):
                await pause()
    finally:
        await connection.close()


@contextlib.contextmanager
def in_thread(call: Callable[[], httpx.Response]) -> Iterator[Future[httpx.Response]]:
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(call)


def test_serve_prints_its_address_when_it_is_ready(server: Server) -> None:
    assert server.text() == f"Fashion Wallet is ready at {server.url}\n"
    assert not server.url.endswith(":0")
    assert httpx.get(f"{server.url}/readyz", timeout=30).status_code == 200
    assert httpx.post(f"{server.url}/graphql", json=ITEMS, timeout=30).json() == NO_ITEMS

    # Ctrl-C
    assert server.stop(signal.SIGINT) == 0
    assert not listens(server.url)
    assert "Traceback" not in server.text()


def test_headers_without_end_are_refused(server: Server) -> None:
    """Nothing of it is kept, and the connection is closed."""
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\n")
        with contextlib.suppress(OSError):  # it stops listening at some point
            for number in range(100_000):
                connection.sendall(b"x-%d: %s\r\n" % (number, b"x" * 1000))
        sent = number * 1000
        with contextlib.suppress(OSError):
            assert connection.recv(1000).startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")

    assert sent < 50_000_000
    assert httpx.get(f"{server.url}/livez", headers={"x-long": "x" * 30_000}, timeout=30).status_code == 200
    assert httpx.post(f"{server.url}/graphql", json=ITEMS | {"x": "y" * 200_000}, timeout=30).json() == NO_ITEMS


async def test_a_request_in_flight_is_answered_before_the_end(
    server: Server, postgres_url: str, blocked_items: asyncpg.Connection[asyncpg.Record]
) -> None:
    with in_thread(lambda: httpx.post(f"{server.url}/graphql", json=ITEMS, timeout=30)) as answer:
        await a_reader_waits(postgres_url)

        server.process.terminate()
        await anyio.to_thread.run_sync(wait_until, lambda: not listens(server.url), "no new connections")
        assert not answer.done()
        assert server.process.poll() is None
        await blocked_items.execute("ROLLBACK; BEGIN")

        response = await anyio.to_thread.run_sync(answer.result, 30)
    assert response.json() == NO_ITEMS
    assert await anyio.to_thread.run_sync(server.process.wait, 30) == 0


async def test_the_drain_is_bounded(
    settings: Settings,
    clean_stores: None,
    postgres_url: str,
    tmp_path: Path,
    blocked_items: asyncpg.Connection[asyncpg.Record],
) -> None:
    variables = environment(settings, SHUTDOWN_TIMEOUT="1", STATEMENT_TIMEOUT="60")
    with serving("serve", folder=tmp_path, variables=variables) as server:
        with in_thread(lambda: httpx.post(f"{server.url}/graphql", json=ITEMS, timeout=30)) as answer:
            await a_reader_waits(postgres_url)

            server.process.terminate()
            code = await anyio.to_thread.run_sync(server.process.wait, 20)

        assert code == 0
        error = answer.exception()
        assert isinstance(error, httpx.HTTPError) or answer.result().status_code >= 500


def test_workers_share_the_port_and_end_together(settings: Settings, clean_stores: None, tmp_path: Path) -> None:
    variables = environment(settings)
    with serving("serve", "--workers", "2", folder=tmp_path, variables=variables) as server:
        workers = children(server)
        assert len(workers) == 2
        assert httpx.post(f"{server.url}/graphql", json=ITEMS, timeout=30).json() == NO_ITEMS

        assert server.stop() == 0

        assert server.text() == f"Fashion Wallet is ready at {server.url}\n"
        assert not any(is_alive(pid) for pid in workers)
        assert not listens(server.url)


def test_workers_of_a_process_with_threads_are_started_anew(
    settings: Settings, clean_stores: None, tmp_path: Path
) -> None:
    arguments = ("-m", "tests.support.failures.threaded")
    with serving(*arguments, folder=tmp_path, variables=environment(settings)) as server:
        workers = children(server)
        assert len(workers) == 2
        assert all("spawn_main" in " ".join(psutil.Process(pid).cmdline()) for pid in workers)
        assert httpx.post(f"{server.url}/graphql", json=ITEMS, timeout=30).json() == NO_ITEMS

        assert server.stop() == 0


def test_workers_end_with_a_killed_parent(settings: Settings, clean_stores: None, tmp_path: Path) -> None:
    with serving("serve", "--workers", "2", folder=tmp_path, variables=environment(settings)) as server:
        workers = children(server)

        server.stop(signal.SIGKILL)

        wait_until(lambda: not any(is_alive(pid) for pid in workers), "the workers end")
        wait_until(lambda: not listens(server.url), "the port is free")


def test_a_port_in_use_is_one_line(settings: Settings, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, output = ended("serve", "--port", str(port), folder=tmp_path, variables=environment(settings))

    assert code == 1
    assert output == (
        f"Error: Can't listen on 127.0.0.1:{port} (Address already in use): choose another port (--port, PORT)\n"
    )


@pytest.mark.parametrize("host", ["example.invalid", "192.0.2.300"])
def test_a_host_that_is_no_address_is_refused(settings: Settings, host: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        listen(settings.model_copy(update={"host": host}))

    assert str(caught.value) == f"HOST: {host} is not an address of this machine"


def test_an_address_of_another_machine_is_refused(settings: Settings) -> None:
    with pytest.raises(ServerError, match=r"Can't listen on 192\.0\.2\.1:0 \(Cannot assign requested address\)"):
        listen(settings.model_copy(update={"host": "192.0.2.1", "port": 0}))


def test_all_addresses_are_listened_on(settings: Settings) -> None:
    with listen(settings.model_copy(update={"host": "0.0.0.0", "port": 0})) as listener:
        host, port = listener.getsockname()
        assert host == "0.0.0.0"
        assert url_of(listener) == f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost", "::1"])
def test_each_loopback_address_is_listened_on(settings: Settings, host: str) -> None:
    if host == "::1" and not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    with listen(settings.model_copy(update={"host": host, "port": 0})) as listener:
        port = listener.getsockname()[1]
        assert url_of(listener) in {f"http://{host}:{port}", f"http://[::1]:{port}", f"http://127.0.0.1:{port}"}
        with socket.create_connection((host, port), timeout=5):
            pass


def test_serve_is_for_production_and_names_what_is_missing(tmp_path: Path) -> None:
    variables = environment(None, POSTGRES_HOST="db")

    code, output = ended("serve", folder=tmp_path, variables=variables)

    assert code == 2
    assert output == "Error: DATABASE_URL (or POSTGRES_HOST and POSTGRES_PASSWORD) must be set in production\n"


def test_dev_is_not_for_production(settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="ENVIRONMENT is production: `fashion-wallet dev` is for development"):
        require_development(settings.model_copy(update={"environment": "production"}))


def test_required_stores_that_are_down_are_named_without_their_passwords(tmp_path: Path) -> None:
    variables = environment(
        None,
        DATABASE_URL=f"postgresql://u:hunter2@127.0.0.1:{CLOSED}/x",
        MONGODB_URI=f"mongodb://u:hunter2@127.0.0.1:{CLOSED}/x",
        MONGODB_SELECTION_TIMEOUT="0.5",
        AUTH_SECRET="a secret of 32 bytes and some more",
    )

    variables["LOG_LEVEL"] = "warning"
    code, output = ended("serve", "--port", "0", "--require-stores", folder=tmp_path, variables=variables)

    assert code == 1
    postgres, mongodb = output.splitlines()
    assert re.fullmatch(rf"Error: PostgreSQL: .*Connect call failed \('127.0.0.1', {CLOSED}\).*", postgres)
    assert re.fullmatch(rf"MongoDB: 127.0.0.1:{CLOSED}: .*Connect call failed.*", mongodb)
    assert "hunter2" not in output


def test_reload_starts_again_after_a_change(settings: Settings, clean_stores: None, tmp_path: Path) -> None:
    with serving("dev", "--reload", "--no-demo", folder=tmp_path, variables=environment(settings)) as server:
        before = children(server)
        assert len(before) == 1

        def changed() -> bool:
            if "detected changes" not in server.text():
                os.utime(api.__file__)  # again, for the reloader may not have looked at the files yet
            now = children(server)
            return bool(now) and now.isdisjoint(before)

        wait_until(changed, "another process serves")
        wait_until(
            lambda: listens(server.url) and httpx.get(f"{server.url}/livez", timeout=30).is_success, "it answers"
        )
        assert server.stop() == 0


def test_dev_starts_everything_on_an_empty_folder() -> None:
    """Its folder is not below pytest's own, which only its owner may enter."""
    with throwaway_folder() as folder:
        variables = environment(None, EXPLORER="false")
        arguments = ("dev", "--port", "0", "--data-dir", "data")
        with serving(*arguments, folder=folder, variables=variables) as server:
            wait_until(lambda: f"{server.url}/graphql" in server.text(), "the address")
            seconds = re.search(r"ready in (\d+\.\d) s, first query answered", server.text())
            assert seconds, server.text()
            assert float(seconds[1]) > 0
            # and the accounts that are printed sign in
            login = re.search(r'Sign in as (\S+), .* with the password "(.+)"\n', server.text())
            assert login, server.text()
            mutation = (
                f'mutation {{ signIn(input: {{ email: "{login[1]}", password: "{login[2]}" }}) {{ accessToken }} }}'
            )
            token = httpx.post(f"{server.url}/graphql", json={"query": mutation}, timeout=30).json()["data"]["signIn"][
                "accessToken"
            ]
            answer = httpx.post(
                f"{server.url}/graphql",
                json={"query": "{ users { totalCount } designs { totalCount } }"},
                headers={"authorization": f"Bearer {token}"},
                timeout=30,
            )
            assert answer.json()["data"] == {"users": {"totalCount": 200}, "designs": {"totalCount": 1000}}

            # a second one on the same folder is refused, and the first goes on
            code, output = ended(*arguments, folder=folder, variables=variables, output="second.txt")
            assert (code, output) == (
                1,
                f"Error: {folder / 'data'} is in use by process {server.process.pid}: "
                "stop that one, or choose another folder (DATA_DIR, or --data-dir of dev)\n",
            )
            assert httpx.get(f"{server.url}/readyz", timeout=30).status_code == 200

            # other commands use its servers while they run: what is registered, it knows
            (folder / "names.graphql").write_text("query Names { catalogItems(first: 1) { totalCount } }")
            there = variables | {"DATA_DIR": str(folder / "data")}
            code, output = ended("documents", "add", "names.graphql", folder=folder, variables=there, output="add.txt")
            assert code == 0, output
            code, output = ended("documents", "list", folder=folder, variables=there, output="list.txt")
            identifier = re.search("sha256:[0-9a-f]{64}", output)
            assert identifier, output
            named = httpx.post(f"{server.url}/graphql", json={"documentId": identifier[0]}, timeout=30)
            assert named.json()["data"]["catalogItems"]["totalCount"] > 0
            assert stat.S_IMODE((folder / "data" / "addresses.json").stat().st_mode) == 0o600

            stores = [child.pid for child in psutil.Process(server.process.pid).children()]
            assert server.stop() == 0
            assert not (folder / "data" / "addresses.json").exists()
            assert not any(is_alive(pid) for pid in stores)
            assert not (folder / "data" / "postgres" / "postmaster.pid").exists()
            # from the start to the end it has logged its life and the requests, and nothing of what goes on below them
            logged = set(re.findall(r"^\S+Z \[\w+ *\] (.+?)(?:  |$)", server.text(), re.MULTILINE))
            logged = {event.strip() for event in logged} - {"slow statement"}  # as busy as the machine may be
            assert logged == {"serving", "request", "security", "stopping", "stopped"}
