"""Memory that processes count in together: slots, series, and what is read of several."""

from __future__ import annotations

import os
import pickle
from math import isnan, nan
from typing import Any

import pytest

from api.metrics import families, memory
from api.metrics.exposition import Totals
from api.metrics.families import CPU, DROPPED, ERRORS, REQUEST_SECONDS, SEARCH_BEHIND, SOCKETS, Family
from api.metrics.memory import EXEMPLAR, Memory, Slot


def shown(counted: Memory, family: Family) -> dict[tuple[str, ...], float]:
    """The values of a metric by the values of its labels, in the order of their names."""
    metric = next(each for each in Totals(counted).collect() if each.name == family.name)
    return {tuple(value for _, value in sorted(each.labels.items())): each.value for each in metric.samples}


def begun(counted: Memory, number: int) -> Slot:
    slot = counted.slot(number)
    slot.begin()
    return slot


def add(slot: Slot, family: Family, amount: float, *labels: str) -> None:
    slot.cells[slot.series(family, *labels)] += amount


def test_what_all_count_is_added_up() -> None:
    counted = Memory(3)
    for number in range(3):
        slot = begun(counted, number)
        add(slot, ERRORS, 2, "Items", "NOT_FOUND", "")
        add(slot, SOCKETS, number)
    add(slot, ERRORS, 1, "Items", "TOO_COMPLEX", "MAX_DEPTH")

    assert shown(counted, ERRORS) == {("NOT_FOUND", "", "Items"): 6, ("TOO_COMPLEX", "MAX_DEPTH", "Items"): 1}
    assert shown(counted, SOCKETS) == {(): 3}


def test_who_comes_after_goes_on_with_the_counters_and_not_with_the_gauges() -> None:
    counted = Memory(2)
    before = begun(counted, 1)
    add(before, CPU, 2.5)
    add(before, SOCKETS, 7)
    add(before, ERRORS, 1, "One", "INTERNAL", "")

    after = begun(counted, 1)
    add(after, ERRORS, 1, "Two", "INTERNAL", "")
    add(after, ERRORS, 1, "One", "INTERNAL", "")
    add(after, CPU, 1)

    assert shown(counted, CPU) == {(): 3.5}
    assert shown(counted, SOCKETS) == {(): 0}
    assert shown(counted, ERRORS) == {("INTERNAL", "", "One"): 2, ("INTERNAL", "", "Two"): 1}


def test_gauges_of_who_is_gone_are_left_out_and_counters_are_not() -> None:
    counted = Memory(2)
    for number in range(2):
        slot = begun(counted, number)
        add(slot, SOCKETS, 5)
        add(slot, CPU, 1)

    slot.release()

    assert shown(counted, SOCKETS) == {(): 5}
    assert shown(counted, CPU) == {(): 2}


def test_only_who_knows_how_far_search_is_behind_is_asked() -> None:
    counted = Memory(3)
    for number, seconds in enumerate((nan, 4.0, 9.0)):
        add(begun(counted, number), SEARCH_BEHIND, seconds)

    assert shown(counted, SEARCH_BEHIND) == {(): 4}
    for number in (1, 2):
        counted.slot(number).release()
    assert isnan(shown(counted, SEARCH_BEHIND)[()])


def test_slots_are_given_out_until_all_are_taken() -> None:
    counted = Memory(3)

    first, second = counted.claim(), counted.claim()
    assert first is not None
    assert (first, second, counted.claim()) == (1, 2, None)  # the first one is the supervisor's
    assert shown(counted, SOCKETS) == {}
    counted.release(first)
    assert counted.claimed == {second}
    assert counted.claim() == first


def test_memory_is_the_same_in_another_process() -> None:
    counted = Memory(2)
    slot = begun(counted, 1)

    elsewhere = pickle.loads(pickle.dumps(counted))
    add(slot, CPU, 1)

    assert len(elsewhere) == 2
    assert elsewhere.slot(1).owner == os.getpid()
    assert shown(elsewhere, CPU) == {(): 1}


def test_histograms_are_added_bucket_by_bucket_with_the_newest_exemplar() -> None:
    counted = Memory(2)
    trace = bytes(range(16))
    for number in range(2):
        slot = begun(counted, number)
        first = slot.series(REQUEST_SECONDS, "Items")
        slot.cells[first] += 0.3
        slot.cells[first + 1 + 8] += 1
        exemplar = EXEMPLAR.pack(trace if number else bytes(16), 0.3, 1000.0 + number)
        slot.keep_exemplar(REQUEST_SECONDS, first, 8, exemplar)
    begun_last = slot.series(REQUEST_SECONDS, "Others")
    slot.cells[begun_last + 1] += 1  # what comes after an exemplar's cells is another's

    metric: Any = next(each for each in Totals(counted).collect() if each.name == REQUEST_SECONDS.name)
    items = [each for each in metric.samples if each.labels["operation"] == "Items"]
    buckets = {each.labels["le"]: each for each in items if "le" in each.labels}

    assert {bound: each.value for bound, each in buckets.items()} == {
        bound: float(number >= 8) * 2 for number, bound in enumerate([*map(str, REQUEST_SECONDS.buckets), "+Inf"])
    }
    assert [each.value for each in items if "le" not in each.labels] == [2, 0.6]
    exemplars = {bound: each.exemplar for bound, each in buckets.items() if each.exemplar}
    assert list(exemplars) == ["0.5"]
    assert (exemplars["0.5"].labels, exemplars["0.5"].value) == ({"trace_id": trace.hex()}, 0.3)


def test_what_there_is_no_room_for_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_KEY_BYTES", 512)
    counted = Memory(1)
    slot = begun(counted, 0)
    add(slot, DROPPED, 0)

    for _ in range(2):
        for number in range(100):
            add(slot, ERRORS, 1, f"operation {number}", "INTERNAL", "")

    kept = shown(counted, ERRORS)
    assert set(kept.values()) == {2}
    assert 5 < len(kept) < 20
    assert shown(counted, DROPPED) == {(): 100 - len(kept)}


def test_every_family_fits_and_has_a_meaning() -> None:
    for family in families.FAMILIES.values():
        assert family.meaning.endswith(".")
        assert memory.width(family) < memory._SPARE
        assert tuple(sorted(family.buckets)) == family.buckets
