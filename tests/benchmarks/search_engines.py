"""What answers a search: this API, PostgreSQL without anything around it, and an engine that is made for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final
from uuid import UUID

import asyncpg
import httpx
import tantivy

from api.ids import decode_id
from tests.benchmarks.known_items import Item, words_of
from tests.support.graphql import execute

Engine = Callable[[str], Awaitable[Sequence[object]]]
"""The ids of the first ten that it finds."""

FOUND: Final = 10
FIELDS: Final = {"name": 8.0, "looks": 4.0, "tags": 2.0, "description": 1.0}
"""Of the engine, with what a word in each counts."""
AS_HERE: Final = (4, 8)
AS_ELASTICSEARCH: Final = (3, 6)
"""From how many letters the engine allows one edit, and two."""

SEARCH: Final = """
    query ($text: String!) {
      search(query: $text, types: CATALOG_ITEM, first: 10) { edges { node { ... on CatalogItem { id } } } }
    }
"""

PLAIN: Final = """
    CREATE TEMP TABLE plain AS
    SELECT id, name || ' ' || texts || ' ' || description AS whole,
        setweight(to_tsvector('english', name), 'A') || setweight(to_tsvector('english', texts), 'B')
            || setweight(to_tsvector('english', coalesce(description, '')), 'D') AS words
    FROM (
        SELECT id, name, description, concat_ws(' ', properties ->> 'color', properties ->> 'material',
            properties ->> 'texture', properties ->> 'patternType', properties ->> 'tags') AS texts
        FROM catalog.catalog_items
    ) AS items
"""
FULL_TEXT: Final = """
    SELECT id FROM plain, websearch_to_tsquery('english', $1) AS query
    WHERE words @@ query ORDER BY ts_rank(words, query) DESC, id LIMIT 10
"""
ILIKE: Final = """
    SELECT id FROM plain WHERE whole ILIKE ALL (SELECT '%' || word || '%' FROM unnest($1::text[]) AS typed (word))
    ORDER BY id LIMIT 10
"""


def api(client: httpx.AsyncClient) -> Engine:
    """This API, asked as clients ask it."""

    async def search(typed: str) -> Sequence[object]:
        edges = (await execute(client, SEARCH, text=typed))["search"]["edges"]
        return [decode_id(edge["node"]["id"])[1] for edge in edges]

    return search


def full_text(connection: asyncpg.Connection) -> Engine:
    """Full text of PostgreSQL, as its manual shows it."""
    return lambda typed: _ids(connection, FULL_TEXT, typed)


def ilike(connection: asyncpg.Connection) -> Engine:
    """Whatever has all words somewhere."""
    return lambda typed: _ids(connection, ILIKE, words_of(typed))


async def _ids(connection: asyncpg.Connection, statement: str, typed: Any) -> list[UUID]:
    return [row["id"] for row in await connection.fetch(statement, typed)]


def fuzzy(items: Sequence[Item], one_edit_from: int, two_edits_from: int) -> Engine:
    """tantivy: each word stemmed, or with as many edits as its letters allow."""
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("id", stored=True)
    for name in FIELDS:
        builder.add_text_field(name, tokenizer_name="en_stem")
        builder.add_text_field(f"{name}_typed")
    schema = builder.build()
    index = tantivy.Index(schema)
    writer = index.writer(50_000_000, 1)
    for item in items:
        texts = dict(zip(FIELDS, item.fields, strict=True))
        typed = {f"{name}_typed": text for name, text in texts.items()}
        writer.add_document(tantivy.Document(id=str(item.id), **texts, **typed))
    writer.commit()
    writer.wait_merging_threads()
    index.reload()
    searcher = index.searcher()

    def edits(word: str) -> int:
        return (len(word) >= one_edit_from) + (len(word) >= two_edits_from)

    async def search(typed: str) -> Sequence[object]:
        terms = [(tantivy.Occur.Must, _term(index, schema, word, edits(word))) for word in words_of(typed)]
        hits = searcher.search(tantivy.Query.boolean_query(terms), FOUND).hits
        return [UUID(searcher.doc(address)["id"][0]) for _, address in hits]

    return search


def _term(index: Any, schema: Any, word: str, edits: int) -> Any:
    ways = []
    for name, counts in FIELDS.items():
        ways.append(tantivy.Query.boost_query(index.parse_query(word, [name]), counts * 2))
        near = tantivy.Query.fuzzy_term_query(schema, f"{name}_typed", word, distance=edits)
        ways.append(tantivy.Query.boost_query(near, counts))
    return tantivy.Query.boolean_query([(tantivy.Occur.Should, way) for way in ways])
