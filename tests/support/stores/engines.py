"""Other engines that speak a store's protocol: Citus for PostgreSQL, DocumentDB for MongoDB.

Nothing of this project installs them. The folder that has them is `../shared/engines`, or what ENGINES names; each is a
program in it that starts and stops one. Where there is none, what needs it is skipped.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.support.stores.folders import throwaway_folder
from tests.support.stores.nodes import Node

_BESIDE: Final = Path(__file__).parents[4] / "shared" / "engines"
ENGINES: Final = Path(os.environ.get("ENGINES") or _BESIDE)


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Citus cluster: the URL of a database on its coordinator, and its nodes, the coordinator's first."""

    url: str
    nodes: tuple[Node, ...]


@contextlib.contextmanager
def citus_cluster(workers: int = 2) -> Iterator[Cluster]:
    """A Citus cluster of a coordinator and workers.

    What its nodes acknowledge is kept through the death of their processes, though not of the machine.
    """
    with _engine("citus/cluster", str(workers)) as (url, folder):
        nodes = tuple(Node(each) for each in sorted(folder.glob("node?")))
        for node in nodes:
            node.configure("fsync = off", "full_page_writes = off")
        try:
            yield Cluster(url, nodes)
        finally:
            for node in nodes:  # what they have is thrown away
                node.kill()


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
def _engine(name: str, *arguments: str) -> Iterator[tuple[str, Path]]:
    """The URL that a program prints which starts an engine, and the engine's folder."""
    program = ENGINES / name
    if not program.exists():
        pytest.skip(f"there is no engine {name} in ../shared/engines, and ENGINES names no folder that has it")
    variables = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",  # with a `python` that has the packages
        "LC_ALL": "C.UTF-8",  # what a new PostgreSQL has for its encoding
        "TZ": "UTC",  # and for its time zone
    }
    with throwaway_folder() as above:
        above.chmod(0o755)  # servers don't run as root, and have to get in
        folder = above / "engine"
        try:
            started = subprocess.run(
                [program, "start", folder, *arguments],
                env=variables,
                stdin=subprocess.DEVNULL,
                check=True,
                capture_output=True,
            )
            yield started.stdout.decode().splitlines()[0], folder
        finally:
            if folder.exists():
                subprocess.run([program, "stop", folder], env=variables, check=True, capture_output=True)
