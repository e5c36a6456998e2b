"""A process that has imported the program and forks a copy of itself for each command: a command of the tests then
starts in a tenth of a second instead of the three seconds that importing takes.

`tests.support.processes` starts it, on a socket that is its standard input. What it is asked for is the JSON of
`[arguments, folder, environment]` with four descriptors: a socket, on which the process id and at the end the exit code
are told, and the command's standard input, output and error.

With the number of another socket's descriptor as its argument, it also forks the processes that pytest works in, from a
copy of itself that has imported pytest as well: they are asked for on that socket. It ends with the process that
started it.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import sys
import tempfile
import time
import types
from pathlib import Path
from typing import Final

import api
import migrations
from api.accounts.passwords import common_passwords
from api.embedded.daemons import die_with_parent

LONGEST: Final = 65536
"""Bytes of a request."""


def import_everything() -> None:
    """All modules of the program; what they import or read only when they are called, too."""
    for package in (api, migrations):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.startswith("migrations.versions") and module.name != "migrations.env":
                importlib.import_module(module.name)
    of_others = ("uvicorn.loops.uvloop", "httptools", "anyio._backends._asyncio", "alembic.command", "beanie")
    for name in (*of_others, "typer.main", "typer._adapters", "secantus.cli"):
        importlib.import_module(name)
    common_passwords()


def open_wiredtiger() -> None:
    """WiredTiger measures the processor's clock where a process first opens it, which takes 0.7 s."""
    wiredtiger = importlib.import_module("wiredtiger")
    with tempfile.TemporaryDirectory() as folder:
        wiredtiger.wiredtiger_open(folder, "create").close()


def import_pytest() -> None:
    """What a process of pytest imports before it has looked at its plugins."""
    for name in ("pytest", "_pytest.assertion.rewrite", "_pytest.python", "_pytest.terminal", "_pytest.junitxml"):
        importlib.import_module(name)
    # a plugin, which pytest would have rewritten: otherwise it warns that it comes too late
    anyio = importlib.import_module("anyio")
    anyio.__doc__ = f"{anyio.__doc__} PYTEST_DONT_REWRITE"
    for name in ("jsonschema", "httpx", "trustme", "websockets"):
        importlib.import_module(name)


def main(requests: socket.socket) -> None:
    """Answer requests until whoever sends them is gone. Returns in the process that a command is to run in."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that wait
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for those that work
    while True:
        text, descriptors, _, _ = socket.recv_fds(requests, LONGEST, 4)
        if not text:
            sys.exit()
        if not os.fork():
            break
        for each in descriptors:
            os.close(each)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    requests.close()
    told = socket.socket(fileno=descriptors[0])
    if pid := os.fork():
        told.sendall(b"%d\n" % pid)
        for each in (0, 1, 2, *descriptors[1:]):
            os.close(each)
        ended = os.pidfd_open(pid)
        ready, _, _ = select.select([ended, told.fileno()], [], [])
        if ended not in ready:  # whoever asked for it is gone
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        told.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
        os._exit(0)
    told.close()
    arguments, folder, environment = json.loads(text)
    become(arguments, folder, environment, descriptors[1:])


def become(arguments: list[str], folder: str, environment: dict[str, str], streams: list[int]) -> None:
    """Be like a process that was started with these. Leads a session of its own, but for pytest's, which are to hear
    of Ctrl-C."""
    code = arguments[0] == "-c"
    if not code:
        os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.argv = arguments
    program = types.ModuleType("__main__")
    if not code:
        program.__file__ = arguments[0]
    sys.modules["__main__"] = program  # which processes started by `multiprocessing` import


if __name__ == "__main__":
    gc.disable()  # until all is imported: it stays
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # of NumPy, which SecantusDB imports: who forks has no other threads
    import_everything()
    gc.collect()
    gc.freeze()
    gc.enable()
    started = socket.socket(fileno=os.dup(0))
    if len(sys.argv) > 1:
        die_with_parent(signal.SIGTERM)
        workers = socket.socket(fileno=int(sys.argv[1]))
        if not os.fork():
            die_with_parent(signal.SIGTERM)
            started.close()
            started = workers
            import_pytest()
            gc.freeze()
        else:
            workers.close()
            open_wiredtiger()
    else:
        open_wiredtiger()
    main(started)
    from api.commands import main as program

    if sys.argv[0] == "-c":
        exec(sys.argv[1], sys.modules["__main__"].__dict__)
    elif sys.argv[1:2] == ["-m"]:
        sys.argv = sys.argv[2:]
        sys.path.insert(0, str(Path.cwd()))
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        program.STARTED = time.monotonic()
        sys.exit(program.app())
