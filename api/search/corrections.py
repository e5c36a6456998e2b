"""Mistyped words: what they were meant to be, among the words that there are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from api.lists.conditions import Condition
from api.search.frequencies import frequencies
from api.search.query import Query
from api.search.store import spellings
from api.stores.stores import Stores

ONE_EDIT_FROM: Final = 4
"""Letters from which a word may have one letter too much, too few, wrong, or swapped with its neighbour."""
TWO_EDITS_FROM: Final = 8
"""Letters of the longer of both from which it may be two."""
MOST_CANDIDATES: Final = 12
"""Of each word, those that are looked for among what the viewer may find."""
_DOUBLED: Final = re.compile(r"(.)\1")
SHORTEST_PART: Final = 3
"""Letters of a word that another one is split into."""


async def corrected(stores: Stores, query: Query, scopes: Sequence[tuple[str, Condition]]) -> Query | None:
    """The query with words that there are in place of those that there aren't; None where there is nothing to correct.

    Only what the viewer may find counts: no word is told that stands in something else alone.
    """
    words = list(dict.fromkeys(query.single_words))
    if not words:
        return None
    near = dict(zip(words, await spellings(stores, words), strict=True))
    plain = {word: spelt for word, (spelt, _) in near.items()}
    candidates = {word: _candidates(plain[word], known) for word, (_, known) in near.items()}
    joined = {pair: plain[pair[0]] + plain[pair[1]] for pair in _neighbours(query)}
    splits = {word: _splits(plain[word]) for word in words}
    asked = {*plain.values(), *joined.values()}
    asked.update(each for those in candidates.values() for each, _ in those)
    asked.update(part for those in splits.values() for parts in those for part in parts)
    found = await frequencies(stores, sorted(asked), scopes)
    missing = [word for word in words if not found[plain[word]]]
    corrections: dict[str, tuple[str, ...]] = {}
    for (first, second), together in joined.items():
        if found[together] and not {first, second} & corrections.keys():
            corrections |= {first: (together,), second: ()}
    for word in missing:
        if word not in corrections and (better := _best(candidates[word], splits[word], found)):
            corrections[word] = better
    return query.corrected(corrections) if corrections else None


def _neighbours(query: Query) -> list[tuple[str, str]]:
    terms = [None if term.excluded or len(term.words) > 1 else term.words[0] for term in query.terms]
    return [(first, second) for first, second in pairwise(terms) if first and second and first != second]


class Closeness(NamedTuple):
    """How little a word differs from what was typed: the less, the likelier it was meant."""

    edits: int
    begins_otherwise: bool
    letters: int
    """Letters that only one of both has: people leave one out, double or swap it rather than type another one."""


def closeness(word: str, other: str) -> Closeness:
    """How close they are. A letter that has moved is one edit, as if it were swapped with its neighbour.

    Doubled letters count like single ones, unless there is no other difference: people rarely know which ones are.
    """
    here, there = Counter(word), Counter(other)
    letters = (here - there).total() + (there - here).total()
    edits = min(distance(word, other), max(1, distance(_undoubled(word), _undoubled(other))))
    begins_otherwise = word[:1] != other[:1]
    return Closeness(edits if letters or begins_otherwise else min(edits, 1), begins_otherwise, letters)


def _undoubled(word: str) -> str:
    return _DOUBLED.sub(r"\1", word)


def _candidates(word: str, known: Sequence[str]) -> list[tuple[str, Closeness]]:
    """The words that few edits lead to, the closest first."""
    if len(word) < ONE_EDIT_FROM:
        return []
    close = [
        (other, found)
        for other in known
        if 0 < (found := closeness(word, other)).edits <= 1 + (max(len(word), len(other)) >= TWO_EDITS_FROM)
    ]
    return sorted(close, key=lambda each: (each[1], each[0]))[:MOST_CANDIDATES]


def _splits(word: str) -> list[tuple[str, str]]:
    places = range(SHORTEST_PART, len(word) - SHORTEST_PART + 1)
    return [(word[:place], word[place:]) for place in places]


def _best(
    candidates: Sequence[tuple[str, Closeness]], splits: Sequence[tuple[str, str]], found: Mapping[str, int]
) -> tuple[str, ...] | None:
    """The closest word, of those the most frequent; two words where there is no such word."""
    there = [(how, -found[word], word) for word, how in candidates if found[word]]
    parted = [(-min(map(found.__getitem__, parts)), parts) for parts in splits if all(map(found.__getitem__, parts))]
    if there and (there[0][0].edits == 1 or not parted):
        return (min(there)[2],)
    return min(parted)[1] if parted else None


def distance(word: str, other: str) -> int:
    """How many edits lead from one to the other: letters added, removed, replaced, or swapped with their neighbour."""
    before, last, row = [0], [0], list(range(len(other) + 1))
    for place, letter in enumerate(word, 1):
        before, last, row = last, row, [place]
        for index, another in enumerate(other, 1):
            steps = min(last[index] + 1, row[index - 1] + 1, last[index - 1] + (letter != another))
            swapped = place > 1 and index > 1 and letter == other[index - 2] and word[place - 2] == another
            row.append(min(steps, before[index - 2] + 1) if swapped else steps)
    return row[-1]
