"""What is sought in other ways than by a list: searches, suggestions, facets, what is similar, what fits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from api.catalog.finding_store import MOST_TABLES
from api.ids import encode_id
from api.search.store import CANDIDATES
from tests.benchmarks import bulk
from tests.support.stores.plans import Carried, Question

SEARCHED: Final[Mapping[str, str]] = {
    "a rare word": "korbul ",
    "two words": "korbul zoe ",
    "a word of a tenth": "dress ",
    "a word of a tenth and another": "dress zoe ",
    "a word of all": "tag ",
    "a beginning": "korb",
    "a letter": "k",
    "a typing mistake": "korbulx",
    "two typing mistakes": "embrodered cardign",
    "two in a word": "embrodred ",
    "a phrase": '"long dress"',
    "without a word": "dress -long",
    "a family of colours": "blue dress ",
    "nothing": "xylophone ",
}
"""By what it stands for in the large data set."""
BEGUN: Final[Mapping[str, str]] = {"a name": "korb", "a word of a tenth": "dress", "a tag": "tag 1", "a letter": "k"}

_SEARCH: Final = "query ($text: String!) { search(query: $text) { edges { score highlights { field } } } }"
_COUNT: Final = "query ($text: String!) { search(query: $text) { totalCount } }"
_SUGGEST: Final = "query ($prefix: String!) { suggest(prefix: $prefix) { text count } }"
_SIMILAR: Final = "query ($id: ID!) { catalogItem(id: $id) { similar { score item { id } } } }"
_FITTING: Final = "query ($id: ID!) { avatar(id: $id) { fittingItems { size item { id } } } }"
_FACETS: Final = """
    query ($filter: CatalogItemFilter) {
      catalogItems(filter: $filter) { facets { type { value count } color { value count } tags { value count } } }
    }
"""
_VIEWERS: Final = ("anonymous", "brand", "admin")


def questions(rows: int) -> Iterator[Question]:
    """All of them. Those that count may go through all that they count."""
    for viewer in _VIEWERS:
        for name, text in SEARCHED.items():
            yield Question(f"search {name}, {viewer}", viewer, _SEARCH, {"text": text})
        for name in ("a word of a tenth", "two words"):
            yield Question(f"search {name}, count, {viewer}", viewer, _COUNT, {"text": SEARCHED[name]}, counts=True)
        for name, prefix in BEGUN.items():
            yield Question(f"suggest {name}, {viewer}", viewer, _SUGGEST, {"prefix": prefix})
        chosen: Mapping[str, dict[str, Any]] = {"": {}, " of a material": {"material": {"equals": "Zoe"}}}
        for name, filter in chosen.items():
            yield Question(f"facets{name}, count, {viewer}", viewer, _FACETS, {"filter": filter}, counts=True)
    item = encode_id("CatalogItem", bulk.key("item", rows // 2, rows))
    yield Question("similar, admin", "admin", _SIMILAR, {"id": item})
    avatar = encode_id("Avatar", bulk.key("avatar", 7, rows))
    yield Question("fittingItems, admin", "admin", _FITTING, {"id": avatar})


MOST: Final = 2 * 2 * max(CANDIDATES, MOST_TABLES)
"""Rows that a statement reads at most, whatever the words: candidates of two types, those that the viewer may not see,
and the item of each."""


def complaint(plan: Carried) -> str | None:
    """What is wrong with how a question that doesn't count was carried out. The entries of an index that a common word
    has are not rows: they are read at a hundredth of the time."""
    if plan.scanned:
        return f"scans {', '.join(plan.scanned)}"
    return f"reads {plan.wanted:.0f} rows" if plan.wanted > 2 * MOST else None
