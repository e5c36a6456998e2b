"""A server of two workers, each of which takes a moment to make what it serves with, while the supervisor asks whether
it has started.

python -m tests.support.failures.slow
"""

from __future__ import annotations

import sys
import time
from typing import Any

from api.commands import main
from api.server.draining import DrainingServer

if __name__ == "__main__":
    made = DrainingServer.__init__

    def make(server: DrainingServer, configuration: Any) -> None:
        time.sleep(0.3)
        made(server, configuration)

    DrainingServer.__init__ = make  # type: ignore[assignment,method-assign]
    sys.argv[1:] = ["serve", "--workers", "2", "--port", "0"]
    main.app()
