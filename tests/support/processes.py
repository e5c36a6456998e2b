"""Processes of the program, as `subprocess.Popen` would start them, but forked from one that has imported it."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import secrets
import select
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import pytest

COMMAND: Final = str(Path(sys.executable).with_name("fashion-wallet"))
ROOT: Final = Path(__file__).parents[2]
_OF_THE_INTERPRETER: Final = ("PYTHON", "LANG", "LC_", "TZ", "COVERAGE_")
"""Begins of variables that are read when Python starts: a command with others needs a nursery of its own."""

_NURSERY: Final = Path(__file__).with_name("nursery.py")
_shared: Final[dict[tuple[tuple[str, str], ...], str]] = {}
"""Addresses of nurseries that others have started, by the variables of their interpreter."""

nurseries: Final = contextlib.ExitStack()
"""What is to be closed before coverage of all processes is put together."""
atexit.register(nurseries.close)


@dataclass(frozen=True)
class Nurseries:
    """What forks processes for all of pytest's: the address to ask for commands, and the program that stands for
    `python` where a process of pytest is started."""

    commands: str
    python: str


class Process:
    """A command that runs. As `subprocess.Popen`, whose methods these are."""

    def __init__(self, told: socket.socket) -> None:
        self._told = told
        self._lines = told.makefile("rb")
        self.pid = int(self._lines.readline())
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""
        if self.returncode is None and select.select([self._told], [], [], 0)[0]:
            self._end()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, once it has ended. Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            if not select.select([self._told], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired([COMMAND], timeout or 0)
            self._end()
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _end(self) -> None:
        if self.returncode is None:
            self.returncode = int(self._lines.readline())
            self._lines.close()
            self._told.close()


def start(
    *arguments: str,
    folder: Path,
    variables: Mapping[str, str],
    stdin: int,
    stdout: int,
    stderr: int,
) -> Process | subprocess.Popen[bytes]:
    """A `fashion-wallet` process with these arguments, or `python -m` with those after `-m`, and descriptors.

    It leads a session of its own. Elsewhere than on Linux it is started and not forked.
    """
    program = [sys.executable, *arguments] if arguments[0] == "-m" else [COMMAND, *arguments]
    if sys.platform != "linux":
        return subprocess.Popen(
            program,
            cwd=folder,
            env=dict(variables),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
    ours, theirs = socket.socketpair()
    with theirs:
        request = json.dumps([program, str(folder), dict(variables)]).encode()
        socket.send_fds(_nursery(_of_the_interpreter(variables)), [request], [theirs.fileno(), stdin, stdout, stderr])
    return Process(ours)


def run(
    *arguments: str, folder: Path, variables: Mapping[str, str], given: str = "", timeout: float = 60.0
) -> subprocess.CompletedProcess[str]:
    """What a command answers to this on its standard input."""
    (folder / "stdin.txt").write_text(given)
    names = [folder / f"{name}.txt" for name in ("stdout", "stderr")]
    with (folder / "stdin.txt").open("rb") as stdin, names[0].open("wb") as stdout, names[1].open("wb") as stderr:
        streams = {"stdin": stdin.fileno(), "stdout": stdout.fileno(), "stderr": stderr.fileno()}
        process = start(*arguments, folder=folder, variables=variables, **streams)
    try:
        code = process.wait(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise
    return subprocess.CompletedProcess(arguments, code, *(name.read_text() for name in names))


def share(config: pytest.Config) -> Nurseries | None:
    """One nursery for all of pytest's processes, which are forked as well; None where it can't be.

    Not where coverage is measured: a process has to be measured from its start on.
    """
    measured = config.getoption("cov_source", default=None) or any(name.startswith("COVERAGE_") for name in os.environ)
    if sys.platform != "linux" or measured:
        return None
    token = secrets.token_hex(8)
    with (
        _bound(commands := f"fashion-wallet-{token}-commands") as requests,
        _bound(workers := f"fashion-wallet-{token}-workers") as others,
    ):
        program = [sys.executable, "-P", str(_NURSERY), str(others.fileno())]
        process = subprocess.Popen(program, cwd=ROOT, stdin=requests.fileno(), pass_fds=[others.fileno()])
    nurseries.callback(process.wait)
    nurseries.callback(process.terminate)
    python = shlex.join([sys.executable, "-S", "-E", str(_NURSERY.with_name("forked_python.py")), workers])
    return Nurseries(commands, python)


def use(address: str) -> None:
    """From now on, this process asks the nursery at this address, which another one has started."""
    _shared[_of_the_interpreter(os.environ)] = address


def _bound(name: str) -> socket.socket:
    requests = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    requests.bind(f"\0{name}")
    return requests


@cache
def _nursery(variables: tuple[tuple[str, str], ...]) -> socket.socket:
    """Where to ask for processes whose interpreter has these variables."""
    if variables in _shared:
        nursery = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        nursery.connect(f"\0{_shared[variables]}")
        nurseries.callback(nursery.close)
        return nursery
    ours, theirs = socket.socketpair()
    program = [sys.executable, "-P", str(_NURSERY)]
    others = {name: value for name, value in os.environ.items() if not name.startswith(_OF_THE_INTERPRETER)}
    with theirs:
        process = subprocess.Popen(program, cwd=ROOT, env=others | dict(variables), stdin=theirs.fileno())
    nurseries.callback(process.wait)
    nurseries.callback(ours.close)
    return ours


def _of_the_interpreter(variables: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(item for item in variables.items() if item[0].startswith(_OF_THE_INTERPRETER)))
