"""The tests of every room, in a folder of its name."""

import sys
from pathlib import Path

BYTECODE = Path(__file__).parents[1] / ".pytest_cache" / "bytecode"
"""Where compiled modules are kept when they may not lie beside the sources."""

if sys.dont_write_bytecode:  # compiling every module takes each process seconds, and migrations are read anew each time
    sys.dont_write_bytecode = False
    sys.pycache_prefix = str(BYTECODE)
