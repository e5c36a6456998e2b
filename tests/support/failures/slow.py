"""A server of two workers, each of which takes a moment to make what it serves with, while the supervisor asks whether
it has started. The supervisor is told to replace them before it has looked after them for the first time.

python -m tests.support.failures.slow
"""

from __future__ import annotations

import sys
import time
from typing import Any

from api.commands import main
from api.server.draining import DrainingServer
from api.server.workers import Workers

if __name__ == "__main__":
    made = DrainingServer.__init__

    def make(server: DrainingServer, configuration: Any) -> None:
        time.sleep(0.3)
        made(server, configuration)

    replace, look_after = Workers.restart_all, Workers.keep_subprocess_alive

    def restart_all(workers: Workers) -> None:
        replace(workers)
        Workers.keep_subprocess_alive = look_after  # type: ignore[method-assign]

    Workers.restart_all = restart_all  # type: ignore[assignment,method-assign]
    Workers.keep_subprocess_alive = lambda workers: None  # type: ignore[assignment,method-assign]
    DrainingServer.__init__ = make  # type: ignore[assignment,method-assign]
    sys.argv[1:] = ["serve", "--workers", "2", "--port", "0"]
    main.app()
