"""Running the application under uvicorn: one process, several that share a socket, or one that reloads."""

from __future__ import annotations

import asyncio
import http.client
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from multiprocessing import parent_process
from pathlib import Path
from typing import Any, Final

import pymongo
from sqlalchemy import text
from starlette.applications import Starlette
from uvicorn import Config
from uvicorn.config import STARTUP_FAILURE
from uvicorn.lifespan.on import LifespanOn, LifespanSendMessage
from uvicorn.supervisors import ChangeReload

from api.config.settings import ConfigurationError, Settings, load_settings
from api.embedded.daemons import die_with_parent
from api.log import configure_logging, logger
from api.metrics.memory import SLOTS, Memory
from api.server.draining import DrainingServer
from api.server.protocol import Protocol
from api.server.signals import exit_on_signals
from api.server.socket_protocol import socket_options
from api.server.workers import Workers
from api.stores.mongodb.client import mongo_client, mongo_database, require_version
from api.stores.postgres.engine import postgres_engine
from api.stores.postgres.schema_revisions import migrated
from api.stores.startup_errors import ServerError, describe

FACTORY: Final = "api.server.processes:application"
BACKLOG: Final = 2048
_PACKAGES: Final = ("api", "models", "documents", "migrations")
_WORKER_ANSWERS: Final = 30
"""Seconds after which a silent worker is replaced. Starting, in which it is silent, can take long on a busy machine."""
_LOOPBACK: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  compared with, not listened on
_LAST_LOOK: Final = 5.0
"""Seconds that the last look at `/readyz` gets to end."""


def application() -> Starlette:
    """The application for the settings in the environment. uvicorn calls this in every process."""
    from api.http.application import create_app

    if (supervisor := parent_process()) is not None:
        die_with_parent(signal.SIGTERM)
        if os.getppid() != supervisor.pid:  # the parent process died while this one was starting
            raise SystemExit(STARTUP_FAILURE)
    try:
        settings = load_settings()
        configure_logging(settings)
        return create_app(settings)
    except ConfigurationError as error:
        logger.error("can't start", reason=str(error))
        raise SystemExit(STARTUP_FAILURE) from None


def listen(settings: Settings, port: int | None = None) -> socket.socket:
    """Listen on PORT or another port: from now on it is taken, and requests wait until the application is ready.

    Raises ConfigurationError for a host that is no address of this machine, ServerError where the port is taken.
    """
    setting, port = ("--port, PORT", settings.port) if port is None else ("METRICS_PORT", port)
    try:
        family, *_, address = socket.getaddrinfo(settings.host, port, type=socket.SOCK_STREAM)[0]
    except OSError:
        raise ConfigurationError(f"HOST: {settings.host} is not an address of this machine") from None
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ServerError(
            f"Can't listen on {settings.host}:{port} ({error.strerror}): choose another port ({setting})"
        ) from None
    return listener


def url_of(listener: socket.socket) -> str:
    """`http://address:port` of a listening socket. If it listens on all addresses, one of them."""
    host, port = listener.getsockname()[:2]
    host = _LOOPBACK.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def verify(settings: Settings) -> None:
    """Return once both stores have answered. Raises the drivers' errors, in a group where both fail."""
    answers = await asyncio.gather(_verify_postgres(settings), _verify_mongodb(settings), return_exceptions=True)
    if failures := [answer for answer in answers if isinstance(answer, Exception)]:
        raise failures[0] if len(failures) == 1 else ExceptionGroup("neither store answers", failures)


async def _verify_postgres(settings: Settings) -> None:
    engine = postgres_engine(settings, migrated)
    try:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
    finally:
        await engine.dispose()


async def _verify_mongodb(settings: Settings) -> None:
    async with mongo_client(settings) as client:
        with pymongo.timeout(settings.mongodb_selection_timeout):
            await mongo_database(settings, client).command("ping")
            require_version(client)


class Lifespan(LifespanOn):
    """uvicorn's lifespan, which reports in one line why the application did not start. Bugs keep their traceback."""

    async def send(self, message: LifespanSendMessage) -> None:
        if message["type"] == "lifespan.startup.failed" and (error := sys.exc_info()[1]) is not None:
            message = {**message, "message": describe(error) or message.get("message", "")}
        await super().send(message)


class Configuration(Config):
    """uvicorn's configuration, with our lifespan. It is sent to the serving processes."""

    def load(self) -> None:
        super().load()
        self.lifespan_class = Lifespan


def run(settings: Settings, listener: socket.socket, *, ready: Callable[[str], Any], reload: bool = False) -> int:
    """Serve until a signal comes, then drain for at most `shutdown_timeout`. Returns the exit code.

    The processes build their settings from the environment, so it must say what `settings` says. `ready` is
    called once with the address, in a thread, when `/readyz` has answered 200. Raises ServerError where METRICS_PORT is
    taken.
    """
    exit_on_signals()
    url = url_of(listener)
    root = Path(__file__).parents[2]
    configuration = Configuration(
        FACTORY,
        factory=True,
        workers=1 if reload else settings.workers,
        reload=reload,
        reload_dirs=[str(root / package) for package in _PACKAGES] if reload else None,
        loop="uvloop",
        http=Protocol,
        **socket_options(settings),
        lifespan="on",
        backlog=BACKLOG,
        timeout_graceful_shutdown=settings.shutdown_timeout - settings.drain_delay,
        timeout_worker_healthcheck=_WORKER_ANSWERS,
        log_config=None,
        log_level={"debug": "debug", "error": "error"}.get(settings.log_level, "warning"),
        access_log=False,  # the application logs requests, with what they cost
        server_header=False,
        proxy_headers=False,
    )
    sockets = [listener]
    if settings.metrics_port is not None:
        sockets.append(listen(settings, settings.metrics_port))
        logger.info("metrics", address=url_of(sockets[1]))
    stopping = threading.Event()
    announcer = threading.Thread(target=_announce, args=(url, ready, stopping), daemon=True)
    try:
        if settings.workers > 1 and not reload:
            workers = Workers(configuration, sockets, announcer, Memory(SLOTS) if settings.measures else None)
            workers.run()
            return int(any(worker.exitcode == STARTUP_FAILURE for worker in workers.processes))
        announcer.start()
        if reload:
            ChangeReload(configuration, target=DrainingServer(configuration).run, sockets=sockets).run()
            return 0
        DrainingServer(configuration).run(sockets=sockets)
        return 0
    finally:
        stopping.set()
        for each in sockets:
            each.close()
        if announcer.is_alive():
            announcer.join(_LAST_LOOK)


def _announce(url: str, ready: Callable[[str], Any], stopping: threading.Event) -> None:
    while not stopping.wait(0.03):
        if _is_ready(url):
            ready(url)
            return


def _is_ready(url: str) -> bool:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
