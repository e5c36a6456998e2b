"""What a process remembers, bounded."""

from __future__ import annotations

from api.bounded_dict import BoundedDict


def test_the_oldest_makes_room() -> None:
    known = BoundedDict[str, int](2)

    known["a"] = 1
    known["b"] = 2
    known["c"] = 3

    assert dict(known) == {"b": 2, "c": 3}


def test_what_is_set_again_is_young_and_what_is_looked_up_as_old_as_before() -> None:
    known = BoundedDict[str, int](2)
    known["a"] = 1
    known["b"] = 2

    known["a"] = 5
    assert known.get("b") == 2
    known["c"] = 3

    assert list(known.items()) == [("a", 5), ("c", 3)]


def test_what_is_moved_to_the_end_is_kept() -> None:
    known = BoundedDict[str, int](2)
    known["a"] = 1
    known["b"] = 2

    known.move_to_end("a")
    known["c"] = 3

    assert list(known) == ["a", "c"]
