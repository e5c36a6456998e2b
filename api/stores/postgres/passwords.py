"""PostgreSQL's password from a file or a command, read anew for each new connection.

So a password that is changed now and then (a mounted secret, a token of a cloud's IAM) needs no restart. Files and
commands may be slow, so both are read in a thread.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from api.config.settings import Settings
from api.errors import StoreUnfit

LONGEST: Final = 65_536
"""Bytes of a password; tokens of clouds have some thousand."""


@dataclass(frozen=True, slots=True)
class Target:
    """Who signs in where, as libpq's variables say it; a command may make its token of them."""

    host: str
    port: str
    user: str
    database: str

    def variables(self) -> dict[str, str]:
        named = {"PGHOST": self.host, "PGPORT": self.port, "PGUSER": self.user, "PGDATABASE": self.database}
        return {name: value for name, value in named.items() if value}


class PasswordSource:
    """Where the password comes from. Connections that are opened together share what is read.

    A connection only takes a password that began to be read after it asked for one, so none that was changed before.
    """

    def __init__(self, read: Callable[[], str]) -> None:
        self._read = read
        self._turn = asyncio.Lock()
        self._next: asyncio.Task[str] | None = None

    async def read(self) -> str:
        """The password as it is now. Raises StoreUnfit, which names the setting and never the password."""
        if self._next is None:
            self._next = asyncio.create_task(self._in_turn())
        return await asyncio.shield(self._next)  # who leaves leaves it to the others

    async def _in_turn(self) -> str:
        async with self._turn:
            self._next = None  # who asks from now on gets the one after this
            return await asyncio.to_thread(self._read)


def password_source(settings: Settings, target: Target) -> PasswordSource | None:
    """The source that the settings name; None where they name none."""
    if settings.postgres_password_file is not None:
        file = settings.postgres_password_file
        return PasswordSource(lambda: from_file(file))
    if settings.postgres_password_command is not None:
        words = shlex.split(settings.postgres_password_command)
        variables, limit = os.environ | target.variables(), settings.postgres_password_timeout
        return PasswordSource(lambda: from_command(words, variables, limit))
    return None


def from_file(file: Path) -> str:
    """The password in a file, without the end of its line. Raises StoreUnfit."""
    try:
        with file.open("rb") as opened:
            content = opened.read(LONGEST + 1)
    except OSError as error:
        raise _unfit("FILE", f"the file can't be read ({error.strerror})", lasts=True) from None
    return _password(content, "FILE", "the file", lasts=True)


def from_command(words: list[str], variables: Mapping[str, str], limit: float) -> str:
    """What a command prints, without the end of its line. It and its children are ended after `limit` seconds.

    Raises StoreUnfit. What it says on standard error goes to ours, for whoever runs the server.
    """
    try:
        process = subprocess.Popen(  # noqa: S603  the operator's own
            words, env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True
        )
    except OSError as error:
        raise _unfit("COMMAND", f"the command can't be run ({error.strerror})", lasts=True) from None
    with process:
        try:
            content, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # with what it has started, which may hold the pipe
            raise _unfit("COMMAND", f"the command did not end within {limit:g} s", lasts=False) from None
    if process.returncode:
        raise _unfit("COMMAND", f"the command ended with code {process.returncode}", lasts=False)
    return _password(content, "COMMAND", "what the command printed", lasts=False)


def _password(content: bytes, setting: str, what: str, *, lasts: bool) -> str:
    if len(content) > LONGEST:
        raise _unfit(setting, f"{what} is longer than a password ({LONGEST} bytes)", lasts=lasts)
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise _unfit(setting, f"{what} is not UTF-8", lasts=lasts) from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text.strip() or "\0" in text:
        raise _unfit(setting, f"{what} is empty" if not text.strip() else f"{what} has a null byte", lasts=lasts)
    return text


def _unfit(setting: str, reason: str, *, lasts: bool) -> StoreUnfit:
    return StoreUnfit("PostgreSQL", f"POSTGRES_PASSWORD_{setting}: {reason}", lasts=lasts)
