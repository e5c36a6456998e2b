"""A catalog that people search, and what they type: names, words in another order, mistyped words.

The items are those of the demo data, in several blocks. Mistyped words are what people really typed: the dictionary of
codespell, as far as it corrects to a word of this catalog alone.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final
from uuid import UUID

import tantivy

from api.demo import catalog_items, users

SEED: Final = "known items"
SHORTEST: Final = 5
"""Letters of the words that are mistyped."""

_stemmer = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple()).filter(tantivy.Filter.stemmer("english")).build()


@dataclass(frozen=True)
class Item:
    """An item, with what it may be found by."""

    id: UUID
    name: str
    looks: dict[str, str]
    tags: tuple[str, ...]
    description: str

    @property
    def fields(self) -> tuple[str, str, str, str]:
        """Its texts, what counts most first."""
        return (self.name, " ".join(self.looks.values()), " ".join(self.tags), self.description)


@dataclass(frozen=True)
class Known:
    """What somebody types, and the items that they may mean by it."""

    typed: str
    meant: frozenset[UUID]


def words_of(text: str) -> list[str]:
    """Words as they are typed: small."""
    return re.findall(r"[^\W\d_]+", text.lower())


def stem(word: str) -> str:
    """The same for all forms of a word."""
    stems: list[str] = _stemmer.analyze(word)
    return stems[0]


def rows(blocks: int) -> list[dict[str, Any]]:
    """The rows of the catalog, active ones, without those who made them."""
    found: list[dict[str, Any]] = []
    admin = None
    for block in range(blocks):
        people, _ = users.users(block, admin)
        admin = admin or people[0]
        found += (row | {"created_by": None, "updated_by": None} for row in catalog_items.items(block, people))
    return [row for row in found if row["is_active"]]


def items(rows: Sequence[dict[str, Any]]) -> list[Item]:
    """The same as they are searched."""
    return [
        Item(
            UUID(str(row["id"])),
            row["name"],
            {name: row["properties"].get(name, "") for name in ("color", "material", "texture", "patternType")},
            tuple(row["properties"]["tags"]),
            row["description"],
        )
        for row in rows
    ]


class Catalog:
    """Which items have a word, in their names and anywhere. Nobody searches by a word of `small`."""

    def __init__(self, items: Sequence[Item], small: Set[str]) -> None:
        self.items = items
        self.small = small
        self.words: set[str] = set()
        self.named: dict[str, set[UUID]] = defaultdict(set)
        self.anywhere: dict[str, set[UUID]] = defaultdict(set)
        for item in items:
            words = {*words_of(" ".join(item.fields))}
            self.words |= words
            for word in words_of(item.name):
                self.named[stem(word)].add(item.id)
            for word in words:
                self.anywhere[stem(word)].add(item.id)

    def sets(self, size: int) -> dict[str, list[Known]]:
        """What is typed, by its kind; of each kind at most `size`."""
        chance = random.Random(SEED)
        chosen = chance.sample(self.items, min(size, len(self.items)))
        mistakes = [each for each in self._mistakes() if len(each[1]) >= SHORTEST]
        of_names = [(typed, word) for typed, word in mistakes if stem(word) in self.named]
        words = [self._words(item) for item in chosen]
        return {
            "names": list(map(self._named, words)),
            "reordered": [self._named(chance.sample(each, len(each))) for each in words],
            "a word dropped": list(self._dropped(words, chance)),
            "plurals": list(self._plurals(words)),
            "colour and material": list(self._looking(chosen, chance)),
            "a mistyped word": [
                Known(typed, frozenset(self.anywhere[stem(word)]))
                for typed, word in chance.sample(mistakes, min(size, len(mistakes)))
            ],
            "a name with a mistyped word": list(self._mistyped(of_names, size, chance)),
        }

    def _words(self, item: Item) -> list[str]:
        """The words of its name that somebody would type, each once."""
        return [word for word in dict.fromkeys(words_of(item.name)) if word not in self.small and len(word) > 1]

    def _mistakes(self) -> list[tuple[str, str]]:
        """What was typed, and the word of this catalog that was meant."""
        found = []
        for line in (files("codespell_lib") / "data" / "dictionary.txt").read_text("utf-8").splitlines():
            typed, _, meant = line.partition("->")
            if typed.isalpha() and typed not in self.words and meant in self.words and meant not in self.small:
                found.append((typed, meant))
        return found

    def _named(self, words: Sequence[str], typed: Sequence[str] | None = None) -> Known:
        meant = set.intersection(*(self.named[stem(word)] for word in words))
        return Known(" ".join(typed or words), frozenset(meant))

    def _dropped(self, names: Sequence[list[str]], chance: random.Random) -> Iterator[Known]:
        for words in names:
            if len(words) > 2:
                gone = chance.randrange(len(words))
                yield self._named([word for place, word in enumerate(words) if place != gone])

    def _plurals(self, names: Sequence[list[str]]) -> Iterator[Known]:
        for words in names:
            if words[-1].isascii() and not words[-1].endswith(("s", "y")):
                many = words[-1] + ("es" if words[-1].endswith(("ch", "sh", "x")) else "s")
                yield self._named(words, [*words[:-1], many])

    def _looking(self, items: Sequence[Item], chance: random.Random) -> Iterator[Known]:
        for item in items:
            pair = [item.looks["color"], item.looks["material"]]
            if all(pair):
                meant = {each.id for each in self.items if [each.looks["color"], each.looks["material"]] == pair}
                yield Known(" ".join(chance.sample(pair, 2)), frozenset(meant))

    def _mistyped(self, mistakes: Sequence[tuple[str, str]], size: int, chance: random.Random) -> Iterator[Known]:
        names: dict[str, list[list[str]]] = defaultdict(list)
        for words in map(self._words, self.items):
            for word in words:
                names[word].append(words)
        known = [(typed, word) for typed, word in mistakes if word in names]
        for typed, word in chance.sample(known, min(size, len(known))):
            words = chance.choice(names[word])
            yield self._named(words, [typed if each == word else each for each in words])
