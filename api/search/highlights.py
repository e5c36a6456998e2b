"""Where the words of a query stand in what was found: fields, and ranges of their texts.

PostgreSQL says which words fit, since it has found by them; where they stand is told here, by the text as it is shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, NamedTuple

from api.lists.conditions import Condition
from api.search import store
from api.search.query import Query, Shades, Term, to_tsquery
from api.search.store import Found
from api.stores.stores import Stores

LONGEST: Final = 5000
"""Characters of a text that are looked through."""
MOST_HIGHLIGHTS: Final = 10
"""Texts of an object that are shown with their ranges."""
MOST_RANGES: Final = 20
"""Ranges of a text."""
LONGEST_WORD: Final = 64
"""Letters of a word that are looked at."""
PROPERTIES: Final = ("color", "material", "texture", "pattern_type")
"""Fields whose words may also be shades of a colour."""

# letters with the accents that stand beside them
_WORD: Final = re.compile(r"(?:[^\W_][\u0300-\u036f]*)+")


class Range(NamedTuple):
    """Where a word begins, and where what follows it does, in UTF-16 code units."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Highlight:
    """A text of one field, and where words of the query stand in it."""

    field: str
    text: str
    ranges: list[Range]


class _Word(NamedTuple):
    """A word of a text, as a search asks for it."""

    word: str
    is_property: bool


async def highlights(
    stores: Stores,
    query: Query,
    found: Sequence[Found],
    scopes: Sequence[tuple[str, Condition]],
    shades: Shades,
) -> dict[Found, list[Highlight]]:
    """The highlights of each object, in two statements for all. Empty where the object is gone since."""
    terms = [term for term in query.terms if not term.excluded]
    texts = {each: list(_texts(row)) for each, row in (await store.texts(stores, found, scopes)).items()}
    words = sorted(
        {
            _Word(word, field in PROPERTIES)
            for those in texts.values()
            for field, text in those
            for word, _, _ in _words(text)
        }
    )
    asked = [part for term in terms for part in _parts(term, shades)]
    answers = iter(await store.fitting(stores, words, asked))
    fits = [[_fitting(words, next(answers)) for _ in term.words] for term in terms]
    marked: dict[Found, list[Highlight]] = {}
    for each, those in texts.items():
        marks = (Highlight(field, text, list(islice(_ranges(field, text, fits), MOST_RANGES))) for field, text in those)
        marked[each] = list(islice((mark for mark in marks if mark.ranges), MOST_HIGHLIGHTS))
    return marked


def _parts(term: Term, shades: Shades) -> list[str]:
    """What is asked of words for a term, as PostgreSQL has it: a part for each of its words."""
    if len(term.words) == 1:
        return [to_tsquery(Query((term,)), widely=True, shades=shades)]
    return [to_tsquery(Query((Term((word,)),))) for word in term.words]


def _fitting(words: Sequence[_Word], places: Sequence[int] | None) -> frozenset[_Word] | None:
    """The words at these places, counted from one; None where any word will do."""
    return None if places is None else frozenset(words[place - 1] for place in places)


def _texts(row: Any) -> Iterator[tuple[str, str]]:
    """The fields of an object, each with its text; tags one by one. What isn't a text is left out."""
    tags = row["tags"] if isinstance(row["tags"], list) else []
    given = [("name", row["name"]), *((name, row[name]) for name in PROPERTIES), *(("tags", tag) for tag in tags)]
    for field, text in (*given, ("description", row["description"])):
        if isinstance(text, str):
            yield field, text[:LONGEST]


def _words(text: str) -> Iterator[tuple[str, int, int]]:
    """The words of a text, each with where it begins and ends in it."""
    for match in _WORD.finditer(text):
        yield match[0][:LONGEST_WORD], match.start(), match.end()


def _ranges(field: str, text: str, terms: Sequence[Sequence[frozenset[_Word] | None]]) -> Iterator[Range]:
    """Where the terms stand, each of them given by what fits its words. Those of a phrase follow each other."""
    words = list(_words(text))
    said = [_Word(word, field in PROPERTIES) for word, _, _ in words]
    marked: set[int] = set()
    for term in terms:
        if not any(term):
            continue  # nothing but words that no search counts, or that stand nowhere here
        for place in range(len(words) - len(term) + 1):
            if all(fit is None or said[place + step] in fit for step, fit in enumerate(term)):
                marked.update(range(place, place + len(term)))
    units, last = 0, 0
    for place in sorted(marked):
        _, start, end = words[place]
        start_unit = units + _units(text[last:start])
        units, last = start_unit + _units(text[start:end]), end
        yield Range(start_unit, units)


def _units(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2
