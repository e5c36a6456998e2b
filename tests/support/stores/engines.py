"""Other engines that speak a store's protocol: Citus for PostgreSQL, DocumentDB for MongoDB.

Nothing of this project installs them. The folder that has them is `../shared/engines`, or what ENGINES names; each is a
program in it that starts and stops one. Where there is none, what needs it is skipped.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

_BESIDE: Final = Path(__file__).parents[4] / "shared" / "engines"
ENGINES: Final = Path(os.environ.get("ENGINES") or _BESIDE)


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Citus cluster: the URL of a database on its coordinator, and each node's folder, the coordinator's first."""

    url: str
    nodes: tuple[Path, ...]


@contextlib.contextmanager
def citus_cluster() -> Iterator[Cluster]:
    """A Citus cluster of a coordinator and two workers.

    What its nodes acknowledge is kept through the death of their processes, though not of the machine.
    """
    with _engine("citus/cluster") as (url, folder):
        nodes = tuple(sorted(folder.glob("node?")))
        for node in nodes:
            with (node / "postgresql.conf").open("a") as configuration:
                configuration.write("fsync = off\nfull_page_writes = off\n")
            os.kill(_postmaster(node), signal.SIGHUP)
        try:
            yield Cluster(url, nodes)
        finally:
            for node in nodes:  # at once: what they have is thrown away
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    os.kill(_postmaster(node), signal.SIGQUIT)


def _postmaster(node: Path) -> int:
    """The process id of a node."""
    return int((node / "postmaster.pid").read_text().partition("\n")[0])


@contextlib.contextmanager
def citus() -> Iterator[str]:
    """The URL of a database on a coordinator with two workers."""
    with citus_cluster() as cluster:
        yield cluster.url


@contextlib.contextmanager
def documentdb() -> Iterator[str]:
    """The URI of a DocumentDB, which answers as the primary of a replica set does."""
    with _engine("documentdb/documentdb") as (uri, _):
        yield uri


@contextlib.contextmanager
def _engine(name: str) -> Iterator[tuple[str, Path]]:
    """The URL that a program prints which starts an engine, and the engine's folder."""
    program = ENGINES / name
    if not program.exists():
        pytest.skip(f"there is no engine {name} in ../shared/engines, and ENGINES names no folder that has it")
    variables = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",  # with a `python` that has the packages
        "LC_ALL": "C.UTF-8",  # what a new PostgreSQL has for its encoding
        "TZ": "UTC",  # and for its time zone
    }
    with tempfile.TemporaryDirectory(prefix="fashion-wallet-engine-", ignore_cleanup_errors=True) as above:
        Path(above).chmod(0o755)  # servers don't run as root, and have to get in
        folder = Path(above) / "engine"
        try:
            started = subprocess.run(
                [program, "start", folder], env=variables, stdin=subprocess.DEVNULL, check=True, capture_output=True
            )
            yield started.stdout.decode().splitlines()[0], folder
        finally:
            if folder.exists():
                subprocess.run([program, "stop", folder], env=variables, check=True, capture_output=True)
