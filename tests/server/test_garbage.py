"""The garbage collector after the start of a process."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from api.config.settings import Settings
from api.server import garbage_collection


@pytest.fixture
def collector() -> Iterator[None]:
    """The collector of a process that has set nothing aside; in the end, as it was before."""
    threshold = gc.get_threshold()
    gc.unfreeze()
    yield
    gc.set_threshold(*threshold)
    gc.unfreeze()
    gc.freeze()  # as the suite's process had it


def test_what_the_start_has_made_is_set_aside(settings: Settings, collector: None) -> None:
    before = gc.get_threshold()
    assert gc.get_freeze_count() == 0

    garbage_collection.freeze(settings.model_copy(update={"gc_threshold": 12_345}))

    assert gc.get_threshold() == (12_345, *before[1:])
    assert gc.get_freeze_count() > 10_000
    assert len(gc.get_objects()) < 10_000
