"""Bringing PostgreSQL's part of a backup into a database without our tables: all of it in one transaction.

`pg_restore` writes the SQL, and `psql` sends it. What comes before and after it is in the same transaction. So rows
that aren't those that were saved leave the database as it was, and so does a process that is killed.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Final

from api.backup.checking import postgres_file
from api.backup.digests import ROWS_READ, of_table
from api.backup.errors import BackupError
from api.backup.manifest import Manifest
from api.backup.postgres import EXTENSIONS, Progress
from api.backup.programs import environment, program
from api.backup.streams import Identity, reading
from api.config.settings import Settings
from migrations.connection import LOCK_KEY
from migrations.roles import APPLICATION_ROLE

POSITIONS: Final = "audit.audit_log_positions"
LEAP: Final = 2**40
"""How far the places of live updates go on beyond those that were saved. Places that the lost server gave after the
backup are never given again, so a resume token of one of them is refused. There is room for eight million leaps."""
_PIECE: Final = 1024 * 1024


def restore(
    settings: Settings,
    folder: Path,
    found: Manifest,
    keys: Sequence[Identity],
    progress: Progress,
    started: Callable[[subprocess.Popen[bytes]], object],
    *,
    end_sessions: bool,
) -> None:
    """Make all tables with their rows, and compare them with what was saved.

    `started` is given the process that sends them: to kill it from another thread ends this.
    Raises BackupError where there are no programs for it, they fail, or the rows differ; then nothing was changed.
    """
    variables, programs = environment(settings), settings.embedded_postgres_bin
    least = found.postgresql.version // 10_000
    pg_restore, psql = program("pg_restore", least, programs), program("psql", least, programs)
    with ExitStack() as stack:
        said = stack.enter_context(tempfile.TemporaryFile())
        complained = stack.enter_context(tempfile.TemporaryFile())
        sending = stack.enter_context(
            subprocess.Popen(  # noqa: S603
                [psql, "-X", "-q", "-w", "-v", "ON_ERROR_STOP=1", "-f", "-"],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=said,
                env=variables,
            )
        )
        # it commits what it is told to commit, and nothing at the end of its input
        stack.callback(sending.kill)
        started(sending)
        assert sending.stdin is not None
        try:
            _send(sending.stdin, "BEGIN;", *_before(found))
            with reading(folder / postgres_file(found), keys) as dump:
                _send_dump(pg_restore, dump, sending.stdin, complained)
            progress("PostgreSQL", 1, 2)
            _send(sending.stdin, *_after(found, end_sessions=end_sessions), "COMMIT;")
            sending.stdin.close()
        except BrokenPipeError:
            pass  # it has ended, and says why
        code = sending.wait()
        if code:
            raise BackupError(f"PostgreSQL was not restored, and nothing was changed there: {_reason(said, code)}")
    progress("PostgreSQL", 2, 2)


def _send(stream: IO[bytes], *statements: str) -> None:
    stream.write("\n".join([*statements, ""]).encode())
    stream.flush()


def _send_dump(pg_restore: Path, dump: IO[bytes], to: IO[bytes], complained: IO[bytes]) -> None:
    with subprocess.Popen(  # noqa: S603
        [pg_restore, "--no-owner", "--no-privileges", "--exit-on-error", "-f", "-"],
        stdin=dump,
        stdout=subprocess.PIPE,
        stderr=complained,
    ) as reading_it:
        assert reading_it.stdout is not None
        try:
            shutil.copyfileobj(reading_it.stdout, to, _PIECE)
        finally:
            reading_it.stdout.close()
    if reading_it.returncode > 0:
        raise BackupError(f"pg_restore can't read the dump: {_reason(complained, reading_it.returncode)}")


def _before(found: Manifest) -> list[str]:
    """Whoever migrates or restores this database waits. What isn't in the dump is made: roles, extensions."""
    lines = ["SET client_min_messages = warning;", f"SELECT pg_advisory_xact_lock({LOCK_KEY});"]
    # one with anything in it stays, which is an error
    lines += [f"DROP SCHEMA IF EXISTS {_name(schema)};" for schema in found.postgresql.schemas]
    for extension in EXTENSIONS:
        if extension in found.postgresql.extensions:
            schema = _name(found.postgresql.extensions[extension])
            lines += [
                f"CREATE SCHEMA IF NOT EXISTS {schema};",
                f"CREATE EXTENSION IF NOT EXISTS {_name(extension)} SCHEMA {schema};",
            ]
    role = _literal(APPLICATION_ROLE)
    lines.append(
        f"DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {role}) THEN "
        f"CREATE ROLE {_name(APPLICATION_ROLE)} NOLOGIN; END IF; END $$;"
    )
    return lines


def _after(found: Manifest, *, end_sessions: bool) -> list[str]:
    lines = [f"{statement};" for statement in ROWS_READ]
    for table, saved in found.postgresql.tables.items():
        schema, _, name = table.partition(".")
        query = of_table(f"{_name(schema)}.{_name(name)}")
        lines.append(
            f"DO $$ DECLARE there record; BEGIN {query} INTO there; "
            f"IF there.count <> {saved.count} THEN RAISE EXCEPTION '% isn''t what was saved: it has % rows, "
            f"and had %', {_literal(table)}, there.count, {saved.count}; END IF; "
            f"IF there.digest <> {_literal(saved.digest)} THEN RAISE EXCEPTION '% isn''t what was saved: some of its "
            f"rows differ', {_literal(table)}; END IF; END $$;"
        )
    lines += [f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC;" for function in found.postgresql.private_functions]
    # designs that were made after they were saved are lost, so the answers about them are as well: with the same key,
    # the same request makes the design again, with the id that it would have had
    lines.append(
        "UPDATE shared.idempotency_keys SET response = NULL WHERE written_at IS NULL AND response IS NOT NULL "  # noqa: S608
        f"AND locked_until >= {_literal(found.began.isoformat())};"
    )
    if end_sessions:
        lines.append(
            "UPDATE shared.account_sessions SET revoked_at = now(), revoked_for = 'restore' WHERE revoked_at IS NULL;"
        )
    lines.append(
        f"DO $$ BEGIN IF to_regclass('{POSITIONS}') IS NOT NULL THEN "  # noqa: S608
        f"PERFORM setval('{POSITIONS}', (SELECT last_value FROM {POSITIONS}) + {LEAP}); END IF; END $$;"
    )
    return lines


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''").replace("$$", "") + "'"


def _reason(said: IO[bytes], code: int) -> str:
    """The first error that a program has printed."""
    said.seek(0)
    lines = said.read().decode(errors="replace").splitlines()
    errors = [line.rpartition("ERROR:")[2] if "ERROR:" in line else line for line in lines if "rror" in line]
    return (errors or lines or [f"it ended with code {code}"])[0].strip()
