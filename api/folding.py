"""Comparing texts regardless of case and of Unicode's forms: one folding, for both stores and for Python.

PostgreSQL has it as `shared.fold` (migrations/folding.py), MongoDB gets a regular expression that spells it out. So
neither the locale of a database nor the regular expressions of a server decide what is equal. Bound a text before it
is folded: normalisation takes quadratic time for the worst ones.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import Final

_MARKS: Final = "\u0300-\u036f"
"""Combining marks, which make another letter of the one before."""
_LONGEST_PATTERN: Final = 1000
"""The most characters of a pattern: SecantusDB takes no more, MongoDB 32 thousand."""
_CHEAP: Final = 1024
"""Characters that are normalised in a millisecond, whichever they are."""
_PILE: Final = 30
"""Marks on one letter: as many as Unicode's stream-safe format lets through."""
_LAST_CASED: Final = 0x1FFFF
"""No letter beyond has a case."""


def composed(text: str) -> str:
    """The text in Unicode's NFC, as it is stored. A long text with piles of marks stays as it is."""
    if text.isascii() or (len(text) > _CHEAP and _piled(text)):
        return text
    return unicodedata.normalize("NFC", text)


def _piled(text: str) -> bool:
    """Whether more marks follow each other than any language needs: to sort them takes quadratic time."""
    marks = 0
    for character in text:
        marks = marks + 1 if unicodedata.combining(character) else 0
        if marks > _PILE:
            return True
    return False


def folded(text: str) -> str:
    """The text in lower case and NFC; a final sigma is a sigma, a capital i with a dot an i, and ß is not ss."""
    lower = text.lower()
    if lower.isascii():
        return lower
    return unicodedata.normalize("NFC", lower.replace("i\u0307", "i")).replace("ς", "σ")


def pattern(text: str) -> str:
    """A regular expression that finds a text by its folding, in texts that are composed or decomposed.

    Case is spelled out, since servers differ in what their option `i` does outside of ASCII. A text whose pattern would
    be too long is left to that option.
    """
    if not text:
        return ""
    letters = "".join(map(_letter, folded(text)))
    found = f"{letters}(?![{_MARKS}])"  # a decomposed é is not found by e: composed, it isn't either
    return found if len(found) <= _LONGEST_PATTERN else f"(?i:{re.escape(composed(text))})"


@cache
def _letter(letter: str) -> str:
    variants = [letter, *_variants().get(letter, "")]
    forms = sorted({form for variant in variants for form in (variant, unicodedata.normalize("NFD", variant))})
    if len(forms) == 1:
        return re.escape(letter)
    if letter == "i":
        return "(?:İ|[iI]\u0307?)"
    single = f"[{''.join(form for form in forms if len(form) == 1)}]"
    longer = [form for form in forms if len(form) > 1]
    return f"(?:{'|'.join([*longer, single])})" if longer else single


@cache
def _variants() -> dict[str, str]:
    """For each folded letter the others that fold to it."""
    found: dict[str, str] = {"σ": "ς"}
    for letter in _capitals():
        if len(lower := folded(letter)) == 1 and lower != letter:
            found[lower] = found.get(lower, "") + letter
    return found


def _capitals() -> Iterator[str]:
    return (letter for letter in map(chr, range(_LAST_CASED + 1)) if letter.isupper() or letter.istitle())
