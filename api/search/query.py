"""What people type into a search box, read as words, phrases and what must not be there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from api.errors import BadUserInput

LONGEST: Final = 2000
"""Characters of a query."""
MOST_TERMS: Final = 16
"""Words and phrases that count; whatever follows is left out."""
LONGEST_WORD: Final = 64
"""Letters of a word that count."""

Shades = Callable[[str], Iterable[str]]
"""The colours that are shades of the one that a word names; none where it names none."""
NO_SHADES: Final[Shades] = lambda _: ()  # noqa: E731

_TERM: Final = re.compile(r'(?P<minus>(?<!\S)-)?(?:"(?P<phrase>[^"]*)"|(?P<word>[^\W_]+))')
_WORD: Final = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Term:
    """A word, or the words of a phrase in their order.

    `begun` says that a word may be the beginning of a longer one.
    """

    words: tuple[str, ...]
    excluded: bool = False
    begun: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """All terms of a search. Objects must have those that aren't excluded, and none of the others."""

    terms: tuple[Term, ...]

    @property
    def asks(self) -> bool:
        """Whether there is a word to find anything by."""
        return any(not term.excluded for term in self.terms)

    @property
    def single_words(self) -> list[str]:
        """The words to find that are in no phrase: those that may be mistyped."""
        return [term.words[0] for term in self.terms if not term.excluded and len(term.words) == 1]

    def corrected(self, corrections: Mapping[str, tuple[str, ...]]) -> Query:
        """The query with other words in place of those."""
        return Query(tuple(self._corrected(corrections)))

    def _corrected(self, corrections: Mapping[str, tuple[str, ...]]) -> Iterator[Term]:
        for term in self.terms:
            words = None if term.excluded or len(term.words) > 1 else corrections.get(term.words[0])
            if words is None:
                yield term
            else:
                yield from (Term((word,)) for word in words)

    def __str__(self) -> str:
        return " ".join(
            ("-" if term.excluded else "") + (f'"{" ".join(term.words)}"' if len(term.words) > 1 else term.words[0])
            for term in self.terms
        )


def words_of(text: str) -> list[str]:
    """The words of a text that count, without quotes or anything else that parts them."""
    return [word[:LONGEST_WORD] for word in _WORD.findall(text)[:MOST_TERMS]]


def read_query(text: str) -> Query:
    """Read what somebody typed. Whatever is neither a letter nor a digit parts words, quotes and a minus aside.

    Raises BadUserInput where it is blank or too long.
    """
    if len(text) > LONGEST:
        raise BadUserInput(f"query must have at most {LONGEST} characters.")
    if not text.strip():
        raise BadUserInput("query must not be blank.")
    found: list[tuple[Term, int]] = []
    for match in _TERM.finditer(text):
        spoken = match["word"] if match["phrase"] is None else match["phrase"]
        words = tuple(words_of(spoken))
        if words:
            found.append((Term(words, excluded=match["minus"] is not None), match.end()))
        if len(found) == MOST_TERMS:
            break
    # the last word of all may still be being typed
    if found and found[-1][1] == len(text):
        last = found[-1][0]
        if len(last.words) == 1 and not last.excluded and not text.endswith('"'):
            found[-1] = (Term(last.words, begun=True), len(text))
    return Query(tuple(term for term, _ in found))


def to_tsquery(query: Query, *, widely: bool = False, excluding: bool = False, shades: Shades = NO_SHADES) -> str:
    """PostgreSQL's text of the query, which `to_tsquery` reads: of what is to be found, and with `excluding` also of
    what is not.

    `widely`, words may go on where they are begun, and stand for the shades of a colour among an item's properties.
    """
    return " & ".join(
        ("!" if term.excluded else "") + _term(term, widely and not term.excluded, shades)
        for term in query.terms
        if excluding or not term.excluded
    )


def _term(term: Term, widely: bool, shades: Shades) -> str:
    if len(term.words) > 1:
        return "(" + " <-> ".join(f"'{word}'" for word in term.words) + ")"
    word = term.words[0]
    if not widely:
        return f"'{word}'"
    # the names of two words have the family's in them: sky blue
    others = "".join(f" | '{other}':B" for other in shades(word.lower()) if other.isalpha() and other != word.lower())
    return f"('{word}'{':*' if term.begun else ''}{others})"
