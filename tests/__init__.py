"""The tests of every room, in a folder of its name."""

import os
import sys
from pathlib import Path
from typing import Final

CACHE: Final = Path(__file__).parents[1] / ".pytest_cache"
"""What is made once and kept between runs; it may be deleted at any time."""

if sys.dont_write_bytecode:  # compiling every module takes each process seconds, and migrations are read anew each time
    sys.dont_write_bytecode = False
    sys.pycache_prefix = str(CACHE / "bytecode")
    # processes that tests start do the same: pytest's workers, SecantusDB, commands
    del os.environ["PYTHONDONTWRITEBYTECODE"]
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix
