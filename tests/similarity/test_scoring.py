"""How similar two things are, by examples that are worked out by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from api.colours.distance import between
from api.colours.table import COLOURS
from api.similarity.scoring import (
    FAR,
    WEIGHTS,
    Match,
    Reason,
    closeness_of,
    closeness_of_colours,
    most_similar,
    overlap,
    reasons_of,
    score_of,
)
from api.similarity.traits import MAX_TAGS, NONE, Candidate, Traits, text, texts

NOON: Final = datetime(2026, 1, 1, 12, tzinfo=UTC)


def of(tags: str = "", colours: str = "", materials: str = "", categories: str = "", types: str = "") -> Traits:
    """Traits from words."""
    return Traits(*(frozenset(words.split()) for words in (tags, colours, materials, categories, types)))


DRESS: Final = of("linen summer", "navy", "linen", "dress", "fabric")


def test_the_weights_are_one_together() -> None:
    assert sum(WEIGHTS.values()) == pytest.approx(1)


def test_what_is_the_same_is_as_similar_as_can_be() -> None:
    assert score_of(DRESS, DRESS) == pytest.approx(1)
    assert reasons_of(DRESS, DRESS) == (
        Reason("tags", 0.30, 1, ("linen", "summer")),
        Reason("color", 0.25, 1, ("navy",)),
        Reason("material", 0.20, 1, ("linen",)),
        Reason("category", 0.15, 1, ("dress",)),
        Reason("type", 0.10, 1, ("fabric",)),
    )


def test_each_trait_counts_by_its_weight_and_closeness() -> None:
    other = of("summer light", "navy", "cotton", "dress", "fabric")

    # one tag of three: 0.30 / 3; the colour 0.25, the category 0.15, the type 0.10; the material nothing
    assert score_of(DRESS, other) == pytest.approx(0.10 + 0.25 + 0.15 + 0.10)
    assert reasons_of(DRESS, other) == (
        Reason("color", 0.25, 1, ("navy",)),
        Reason("category", 0.15, 1, ("dress",)),
        Reason("tags", 0.30, 1 / 3, ("summer",)),
        Reason("type", 0.10, 1, ("fabric",)),
    )


def test_what_the_thing_itself_lacks_does_not_count() -> None:
    plain = of(types="pattern", categories="top")

    # of 0.15 and 0.10, the category is three fifths
    assert score_of(plain, of("many tags", "navy", "silk", "top", "fabric")) == pytest.approx(0.6)
    (reason,) = reasons_of(plain, of(categories="top"))
    assert (reason.kind, round(reason.weight, 9), reason.closeness) == ("category", 0.6, 1)
    assert score_of(of(categories="top", types="pattern", tags="a"), of(categories="top")) == pytest.approx(0.15 / 0.55)
    assert score_of(of(), DRESS) == 0
    assert reasons_of(of(), DRESS) == ()


def test_overlap_is_what_both_have_of_what_either_has() -> None:
    assert overlap(frozenset("ab"), frozenset("bc")) == pytest.approx(1 / 3)
    assert overlap(frozenset("ab"), frozenset("ab")) == 1
    assert overlap(frozenset("a"), frozenset("b")) == 0
    assert overlap(frozenset(), frozenset()) == 0


def test_colours_are_as_close_as_they_look() -> None:
    apart = between(COLOURS["navy"].lab, COLOURS["midnight blue"].lab)

    assert closeness_of("navy", "midnight blue") == pytest.approx(1 - apart / 30)
    assert closeness_of("navy", "Navy") == 1
    assert closeness_of("navy", "#1b2a49") == 1
    assert closeness_of("navy", "yellow") == 0  # further apart than FAR
    assert closeness_of("no colour", "no colour") == 1
    assert closeness_of("no colour", "navy") == closeness_of("navy", "no colour") == 0
    assert FAR == 30


def test_of_several_colours_each_is_compared_with_the_nearest() -> None:
    # navy with navy: 1, yellow with navy: 0; and navy with navy again, from the other side
    assert closeness_of_colours(frozenset(("navy", "yellow")), frozenset(("navy",))) == pytest.approx(2 / 3)
    assert closeness_of_colours(frozenset(("navy",)), frozenset(("navy", "yellow"))) == pytest.approx(2 / 3)
    assert closeness_of_colours(frozenset(("navy",)), frozenset()) == 0
    assert closeness_of_colours(frozenset(), frozenset(("navy",))) == 0


def test_the_colours_of_a_reason_are_those_that_are_close() -> None:
    (reason,) = reasons_of(of(colours="navy"), of(colours="indigo yellow"))

    assert (reason.kind, reason.values) == ("color", ("indigo",))


def found(*matches: Match) -> list[Any]:
    return [match.id for match in matches]


def candidate(id: str, traits: Traits, days: int = 0) -> Candidate:
    return Candidate(id, NOON + timedelta(days=days), traits)


def test_the_best_are_first_then_the_newest_then_the_greatest_id() -> None:
    near, far = of("linen summer", "navy", "linen", "dress", "fabric"), of(types="fabric")
    candidates = [
        candidate("far", far, days=9),
        candidate("a", near),
        candidate("b", near),
        candidate("new", near, days=1),
        candidate("nothing", of("winter", "yellow", "wool", "top", "pattern"), days=10),
    ]

    assert found(*most_similar(DRESS, candidates, 10)) == ["new", "b", "a", "far"]
    assert found(*most_similar(DRESS, reversed(candidates), 10)) == ["new", "b", "a", "far"]
    assert found(*most_similar(DRESS, candidates, 2)) == ["new", "b"]
    assert found(*most_similar(DRESS, candidates, 0)) == []


def test_a_match_has_its_score_and_reasons() -> None:
    (match,) = most_similar(DRESS, [candidate("one", of("linen"))], 5)

    # one tag of two
    assert match == Match("one", 0.15, (Reason("tags", 0.30, 0.5, ("linen",)),))


@pytest.mark.parametrize(
    ("stored", "kept"),
    [
        (["a", 1, None, "", ["b"], "c"], {"a", "c"}),
        ("a", set()),
        (None, set()),
        (7, set()),
        ({"a": 1}, set()),
        ([str(number) for number in range(60)], {str(number) for number in range(MAX_TAGS)}),
    ],
)
def test_only_texts_are_traits(stored: Any, kept: set[str]) -> None:
    assert texts(stored) == kept
    assert text(stored) == ({stored} if isinstance(stored, str) else NONE)
