"""Settings of Python's cyclic garbage collector."""

from __future__ import annotations

import gc

from api.config.settings import Settings


def freeze(settings: Settings) -> None:
    """Exempt all objects that exist after the start (modules, the schema, statements), and collect less often.

    A collection looks at every object of its generation, while the objects of a request are freed by reference counts.
    `tests/benchmarks/garbage.py` measures what this saves.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(settings.gc_threshold, *gc.get_threshold()[1:])
