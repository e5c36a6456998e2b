"""Python's cyclic garbage collector, told what it need not look at."""

from __future__ import annotations

import gc

from api.config.settings import Settings


def freeze(settings: Settings) -> None:
    """Set aside what the start has made (modules, the schema, statements), and collect less often.

    A collection looks at every object of its generation, and what a request makes is freed by reference counts:
    `tests/benchmarks/garbage.py` measures what that saves.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(settings.gc_threshold, *gc.get_threshold()[1:])
