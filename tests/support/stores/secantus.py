"""SecantusDB as the embedded servers have it, but forked: where it is executed, a second of a processor goes for its
imports and for WiredTiger, which measures the processor's clock when a process first opens it."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from api.embedded import servers as embedded
from api.embedded.daemons import HOST, Daemon, free_port
from tests.support import processes


class _Forked(Daemon):
    """Its process ends with ours: who forks it sees to that."""

    def start(self, port: int = 0) -> None:
        self.port = port or free_port()
        _, _, *arguments = self.command(self.port)  # python -P
        with self.log.open("wb") as log, Path(os.devnull).open("rb") as nothing:
            self._process = processes.start(  # type: ignore[assignment]  # it has the same methods
                *arguments,
                folder=self.cwd,
                variables=self.environment,
                stdin=nothing.fileno(),
                stdout=log.fileno(),
                stderr=log.fileno(),
            )


def secantus(folder: Path, *options: str) -> Daemon:
    """One that keeps its data in this folder, and loses what it hasn't written when it is stopped. Not started."""
    made = embedded._mongodb(folder, False, options)
    return _Forked(**{field.name: getattr(made, field.name) for field in dataclasses.fields(made)})


def uri_of(daemon: Daemon) -> str:
    """The URI of its database of designs."""
    return f"mongodb://{HOST}:{daemon.port}/{embedded.DATABASE}?directConnection=true"
