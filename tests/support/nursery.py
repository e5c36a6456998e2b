"""A process that has imported the program and forks a copy of itself for each command: a command of the tests then
starts in a tenth of a second instead of the three seconds that importing takes.

`tests.support.processes` starts it, on a socket that is its standard input. What it is asked for is the JSON of
`[arguments, folder, environment]` with four descriptors: a socket, on which the process id and at the end the exit code
are told, and the command's standard input, output and error.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import runpy
import signal
import socket
import sys
import time
import types
from pathlib import Path
from typing import Final

import api
import migrations

LONGEST: Final = 65536
"""Bytes of a request."""


def import_everything() -> None:
    """All modules of the program; what they import only when they are called, too."""
    for package in (api, migrations):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.startswith("migrations.versions") and module.name != "migrations.env":
                importlib.import_module(module.name)
    for name in ("uvicorn", "uvloop", "httptools", "alembic.command", "beanie", "typer.main"):
        importlib.import_module(name)


def main(requests: socket.socket) -> None:
    """Answer requests until whoever sends them is gone. Returns in the process that a command is to run in."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that wait
    while True:
        text, descriptors, _, _ = socket.recv_fds(requests, LONGEST, 4)
        if not text:
            sys.exit()
        if not os.fork():
            break
        for each in descriptors:
            os.close(each)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    requests.close()
    told = socket.socket(fileno=descriptors[0])
    if pid := os.fork():
        told.sendall(b"%d\n" % pid)
        for each in (0, 1, 2, *descriptors[1:]):
            os.close(each)
        _, status = os.waitpid(pid, 0)
        told.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
        os._exit(0)
    told.close()
    arguments, folder, environment = json.loads(text)
    become(arguments, folder, environment, descriptors[1:])


def become(arguments: list[str], folder: str, environment: dict[str, str], streams: list[int]) -> None:
    """Be like a process that was started with these."""
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.argv = arguments
    program = types.ModuleType("__main__")
    program.__file__ = arguments[0]
    sys.modules["__main__"] = program  # which processes started by `multiprocessing` import


if __name__ == "__main__":
    gc.disable()  # until all is imported: it stays
    import_everything()
    gc.collect()
    gc.freeze()
    gc.enable()
    main(socket.socket(fileno=os.dup(0)))
    from api.commands import main as program

    if sys.argv[1:2] == ["-m"]:
        sys.argv = sys.argv[2:]
        sys.path.insert(0, str(Path.cwd()))
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        program.STARTED = time.monotonic()
        sys.exit(program.app())
