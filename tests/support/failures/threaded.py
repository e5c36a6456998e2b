"""A process for tests of how workers start: its supervisor runs another thread, so that it can't be forked.

python -m tests.support.failures.threaded
"""

from __future__ import annotations

import sys
import threading

from api.commands import main

if __name__ == "__main__":
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    sys.argv[1:] = ["serve", "--workers", "2"]
    main.app()
