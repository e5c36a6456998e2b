"""What people type, read as words, phrases and exclusions."""

from __future__ import annotations

import pytest

from api.errors import BadUserInput
from api.search.query import LONGEST, LONGEST_WORD, MOST_TERMS, Query, Term, read_query, to_tsquery


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("red silk", [Term(("red",)), Term(("silk",), begun=True)]),
        ("red silk ", [Term(("red",)), Term(("silk",))]),
        ('"red silk" -wool', [Term(("red", "silk")), Term(("wool",), excluded=True)]),
        ('-"red silk"', [Term(("red", "silk"), excluded=True)]),
        ('"silk"', [Term(("silk",))]),
        ('"silk', [Term(("silk",), begun=True)]),
        ("t-shirt", [Term(("t",)), Term(("shirt",), begun=True)]),
        ("snake_case", [Term(("snake",)), Term(("case",), begun=True)]),
        ("%&|!():*<->'\\", []),
        ("\0silk\0", [Term(("silk",))]),
        ("👗 dress", [Term(("dress",), begun=True)]),
        ("فستان", [Term(("فستان",), begun=True)]),
    ],
)
def test_what_is_read(text: str, terms: list[Term]) -> None:
    assert list(read_query(text).terms) == terms


def test_bounds() -> None:
    many = read_query(" ".join(f"word{number}" for number in range(200)))
    assert len(many.terms) == MOST_TERMS
    assert not any(term.begun for term in many.terms)
    (long,) = read_query("x" * LONGEST).terms
    assert long.words == ("x" * LONGEST_WORD,)
    with pytest.raises(BadUserInput, match="at most 2000 characters"):
        read_query("x" * (LONGEST + 1))
    for blank in ("", " ", "\t\n"):
        with pytest.raises(BadUserInput, match="must not be blank"):
            read_query(blank)


def test_what_asks_for_nothing() -> None:
    assert not read_query("&").asks
    assert not read_query("-silk").asks
    assert read_query("-silk wool").asks


def test_as_postgresql_has_it() -> None:
    query = read_query('red "silk twill" -wool blu')
    assert to_tsquery(query) == "'red' & ('silk' <-> 'twill') & 'blu'"
    assert to_tsquery(query, excluding=True) == "'red' & ('silk' <-> 'twill') & !'wool' & 'blu'"
    shades = {"red": ("ruby",), "wool": ("loden",)}
    wide = to_tsquery(query, widely=True, excluding=True, shades=lambda word: shades.get(word, ()))
    assert wide == "('red' | 'ruby':B) & ('silk' <-> 'twill') & !'wool' & ('blu':*)"


def test_corrections_replace_single_words() -> None:
    query = read_query('sumer "sumer dres" -dres pin stripe dres')
    better = query.corrected({"sumer": ("summer",), "dres": ("dress",), "pin": ("pinstripe",), "stripe": ()})
    assert str(better) == 'summer "sumer dres" -dres pinstripe dress'
    assert query.single_words == ["sumer", "pin", "stripe", "dres"]
    assert Query(()).single_words == []
