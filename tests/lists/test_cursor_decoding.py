"""Cursors are decoded strictly: what is not exactly a cursor of this list is refused before a store hears of it."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
import pytest
from bson import ObjectId

from api.errors import BadCursor, BadUserInput
from api.lists.pagination import Order, PageRequest, Position, encode_cursor, fingerprint_of, page_request
from api.rights.policies import EVERYTHING

KEY = UUID("018c2c1a-ec6e-70db-a776-4be88d25c96d")
DESIGN = ObjectId("6560c0ffee6560c0ffee6560")
ORDERS = {
    name: Order(name, descending=False) for name in ("name", "price", "version", "created_at", "updated_at", "at")
}


def request(list_name: str = "catalog_items", order: str = "name", **cursors: str) -> PageRequest:
    given: dict[str, Any] = {"first": 3, "last": None, "after": None, "before": None, **cursors}
    return page_request(list_name, scope=EVERYTHING, order=ORDERS[order], **given)


def cursor(value: Any, key: Any = str(KEY), list_name: str = "catalog_items", order: str = "name") -> str:
    made = [fingerprint_of(request(list_name, order), None), value, key]
    return base64.urlsafe_b64encode(orjson.dumps(made)).decode()


def position(given: str, list_name: str = "catalog_items", order: str = "name") -> Position | None:
    """Where a cursor leads, None where it is refused as one that nobody was given."""
    try:
        found = request(list_name, order, after=given)
    except BadCursor as error:
        if error.message != "This is not a valid cursor.":
            raise
        return None
    assert found.after == request(list_name, order, before=given).before
    return found.after


def test_what_was_given_is_taken() -> None:
    made = encode_cursor(fingerprint_of(request(), None), "Linen", KEY)

    assert made == cursor("Linen")
    assert position(made) == Position("Linen", KEY)
    assert position(cursor(None)) == Position(None, KEY)


def test_only_base64_as_it_was_written() -> None:
    made = cursor("Linen!")  # a length that needs padding
    assert made.endswith("=")

    for other in (f" {made}", f"{made} ", f"{made[:8]}\n{made[8:]}", f"{made[:8]}!{made[8:]}", f"{made}!", f"{made}A"):
        assert position(other) is None, other
    assert position(made.rstrip("=")) is None
    assert position(made[:-4]) is None


def test_the_longest_cursor() -> None:
    longest = next(text for size in range(3100) if len(text := cursor("y" * size)) >= 4096)

    assert len(longest) == 4096
    assert position(longest) is not None
    assert position(cursor("y" * 3100)) is None


def test_three_parts_of_which_the_first_is_a_text() -> None:
    fingerprint = fingerprint_of(request(), None)
    for parts in ([fingerprint, "x"], [fingerprint, "x", str(KEY), 1], [1, "x", str(KEY)], [None, "x", str(KEY)]):
        assert position(base64.urlsafe_b64encode(orjson.dumps(parts)).decode()) is None, parts
    foreign = base64.urlsafe_b64encode(orjson.dumps([f"{fingerprint}0", "x", str(KEY)])).decode()
    with pytest.raises(BadUserInput, match=r"^The cursor was made in another list"):
        request(after=foreign)


@pytest.mark.parametrize("order", ["price", "version"])
def test_numbers_that_a_column_holds(order: str) -> None:
    for number in (0, 2**31 - 1, -(2**31) + 1):
        assert position(cursor(number, order=order), order=order) == Position(number, KEY)
    for other in (2**31, -(2**31), 2**63, 1.0, True, "1", [1]):
        assert position(cursor(other, order=order), order=order) is None, other


def test_texts_that_a_column_holds() -> None:
    assert position(cursor("")) == Position("", KEY)
    for other in ("\x00", "a\x00", 1, True, 1.5, ["x"]):
        assert position(cursor(other)) is None, other


@pytest.mark.parametrize("order", ["created_at", "updated_at"])
def test_times_with_their_zone(order: str) -> None:
    noon = datetime(2026, 1, 31, 12, tzinfo=UTC)
    for text in ("2026-01-31T12:00:00+00:00", "2026-01-31T13:00:00+01:00", "2026-01-31T12:00:00Z"):
        found = position(cursor(text, order=order), order=order)
        assert found == Position(noon, KEY)
        assert found.value.utcoffset() == noon.utcoffset()
    for other in ("2026-01-31T12:00:00", "2026-01-31", "noon", "0001-01-01T00:00:00+14:00", 5, True, ["x"]):
        assert position(cursor(other, order=order), order=order) is None, other


def test_keys_of_the_list_s_store() -> None:
    for other in (None, 5, "", "x", str(DESIGN), [str(KEY)]):
        assert position(cursor("x", key=other)) is None, other
    assert position(cursor("x", str(DESIGN), "designs"), "designs") == Position("x", DESIGN)
    assert position(cursor("x", str(DESIGN), "design_revisions"), "design_revisions") == Position("x", DESIGN)
    for other in (None, 5, "", str(KEY), str(DESIGN)[1:], f"{DESIGN}0"):
        assert position(cursor("x", other, "designs"), "designs") is None, other


def test_keys_of_a_list_of_both_stores() -> None:
    assert position(cursor("x", str(DESIGN), "audit_log"), "audit_log") == Position("x", DESIGN)
    assert position(cursor("x", str(KEY), "audit_log"), "audit_log") == Position("x", KEY)
    assert position(cursor("x", f"{DESIGN}0", "audit_log"), "audit_log") is None
