"""What `fashion-wallet dev` does around the server: stores where none is configured, tables, demo data, explorer."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

import orjson
from sqlalchemy import exists, select

from api.config.settings import ConfigurationError, Settings, load_settings
from api.embedded.servers import FolderInUse, embedded_stores, running_stores
from api.stores.startup_errors import ServerError
from api.stores.stores import Stores, open_stores
from models import User

FIRST_QUERY: Final = """
query FirstDesigns { designs(first: 5) { nodes { name owner { firstName } layers { catalogItem { name } } } } }
"""


def require_development(settings: Settings) -> None:
    """Raises ConfigurationError in production, where nothing may be started, migrated or filled on the side."""
    if settings.is_production:
        raise ConfigurationError("ENVIRONMENT is production: `fashion-wallet dev` is for development, use `serve`")


@contextlib.contextmanager
def development_stores(settings: Settings, *, join: bool = True) -> Iterator[Settings]:
    """Settings in which both stores are configured, with embedded ones where they were not.

    Where another `dev` already runs servers in the same folder, those are used; without `join`, that is FolderInUse.
    The addresses are also put into the environment, from which the processes that serve build their settings.
    """
    postgres, mongodb = settings.postgres_url is None, settings.mongodb_url is None
    if not (postgres or mongodb):
        yield settings
        return
    with contextlib.ExitStack() as stack:
        programs = settings.embedded_postgres_bin
        own = embedded_stores(settings.data_dir, postgres=postgres, mongodb=mongodb, postgres_bin=programs)
        try:
            stores = stack.enter_context(own)
            addresses = stores.database_url, stores.mongodb_uri
        except FolderInUse:
            if not join:
                raise
            addresses = running_stores(settings.data_dir)
            if (postgres and addresses[0] is None) or (mongodb and addresses[1] is None):
                raise
        found = dict(zip(("DATABASE_URL", "MONGODB_URI"), addresses, strict=True))
        # only where none is configured: the other `dev` may run both stores
        wanted = {"DATABASE_URL": postgres, "MONGODB_URI": mongodb}
        os.environ.update({name: value for name, value in found.items() if value is not None and wanted[name]})
        yield load_settings()


@contextlib.contextmanager
def configured_stores(settings: Settings) -> Iterator[Settings]:
    """Settings of what is configured, be it one store; where none is, of the embedded stores that `dev` uses."""
    if settings.postgres_url is None and settings.mongodb_url is None:
        with development_stores(settings) as complete:
            yield complete
    else:
        yield settings


def prepare(settings: Settings, say: Callable[[str], Any], *, url: str, embedded: bool, demo: bool) -> None:
    """Bring both stores to the current revision, and load the demo data where they are empty.

    `url` is where the server will be: it also draws the pictures of the demo data.
    """
    from migrations.runner import upgrade

    upgrade(settings)
    if demo:
        asyncio.run(_load_demo(settings, say, url=url, embedded=embedded))


async def _load_demo(settings: Settings, say: Callable[[str], Any], *, url: str, embedded: bool) -> None:
    from api.accounts.passwords import hasher
    from api.commands.progress import shown
    from api.demo.loader import is_empty, load, pictures_of

    async with open_stores(settings) as stores:
        # embedded stores are filled up after an interrupted load; stores of somebody else only where they are empty
        if await (_lacks_some(stores) if embedded else is_empty(stores)):
            say("Loading the demo data")
            with shown() as progress:
                await load(
                    stores,
                    password=settings.demo_password.get_secret_value(),
                    hasher=hasher(settings),
                    pictures=pictures_of(settings, url),
                    progress=progress,
                )


async def _lacks_some(stores: Stores) -> bool:
    """Whether there is no user, or no design."""
    async with stores.reads.connect() as connection:
        users = await connection.scalar(select(exists().select_from(User)))
    return not users or await stores.database["designs"].find_one({}, {"_id": 1}) is None


def demo_accounts(settings: Settings) -> str | None:
    """How to sign in to the demo accounts that are there; None where there are none."""
    return asyncio.run(_demo_accounts(settings))


async def _demo_accounts(settings: Settings) -> str | None:
    from api.accounts.passwords import Passwords
    from api.demo.sign_in_accounts import demo_accounts as present

    async with open_stores(settings) as stores:
        accounts = await present(stores)
    if not accounts:
        return None
    password = settings.demo_password.get_secret_value()
    known = await Passwords(settings).verify(password, accounts[0].password_hash)
    # they keep the password that they were loaded with, whatever the setting says by now
    what = f'"{password}"' if known.right else "that they were loaded with"
    return f"Sign in as {', '.join(account.email for account in accounts)} with the password {what}"


def install_explorer(settings: Settings, say: Callable[[str], Any]) -> threading.Thread | None:
    """Bring the explorer's files in a thread: until they are there, its page uses the CDN."""
    from api.http.explorer import ExplorerError, install

    if not settings.explorer or shutil.which("npm") is None:
        return None

    def bring() -> None:
        try:
            install(settings.data_dir)
        except ExplorerError as error:
            say(f"The explorer needs internet: its files were not installed. {error}")

    thread = threading.Thread(target=bring, name="explorer", daemon=True)
    thread.start()
    return thread


def answer_first_query(url: str) -> None:
    """Send a query as a frontend does. Raises ServerError where the answer is not data alone."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)
    try:
        body = orjson.dumps({"query": FIRST_QUERY})
        connection.request("POST", "/graphql", body, {"content-type": "application/json"})
        response = connection.getresponse()
        content = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise ServerError(f"The first query was not answered: {error}") from None
    finally:
        connection.close()
    try:
        answer = orjson.loads(content)
    except orjson.JSONDecodeError:
        answer = {}
    if response.status != http.client.OK or "errors" in answer or "data" not in answer:
        raise ServerError(
            f"The first query was answered with {response.status}: {content[:300].decode(errors='replace')}"
        )
