"""PostgreSQL's functions of search: the language, a text as it is searched, the words of an object, their spellings.

Search is asked in plain letters: small, without accents, `ß` as `ss`. They are replaced by a table rather than by
normalising, which takes quadratic time for the worst texts: whoever may write a description writes what is indexed.
"""

from __future__ import annotations

import unicodedata
from typing import Final

import sqlalchemy as sa

from migrations.batch import execute_all
from migrations.folding import lower_of
from migrations.search_language import LANGUAGE, set_language

PLAIN: Final = "shared.search_text(text)"
WORDS: Final = "shared.search_words(text,text,text,text)"
SPELLINGS: Final = "shared.search_spellings_of(text)"
LEARN: Final = "shared.learn_search_words(text[])"
LOOKS: Final = "shared.search_looks(jsonb)"
TAGS: Final = "shared.search_tags(jsonb)"
INDEX_CHANGED: Final = "catalog.index_changed_items()"

COMMENTS: Final = {
    LANGUAGE: "The language that words are stemmed in; SEARCH_LANGUAGE when the index was last built",
    PLAIN: "A text as it is searched: small letters without accents",
    WORDS: "What a search finds an object by: its name before its properties, tags and description",
    SPELLINGS: "A word without one letter, or two where it is long: what it shares with what it is mistyped as",
    LEARN: "Adds the words of texts to those that a mistyped word is corrected to",
    LOOKS: "Color, material, texture and pattern of properties, where they are texts",
    TAGS: "The texts among tags",
    INDEX_CHANGED: "Trigger function: keeps the words of items, in the statement that changes them",
}

LONGEST_TEXT: Final = 50_000
"""Characters of a text that are indexed: more than a description has, and less than a tsvector holds."""
SHORTEST_WORD: Final = 3
LONGEST_WORD: Final = 24
"""Letters of the words that a mistyped word is corrected to."""
TWO_EDITS_FROM: Final = 6
"""Letters from which a word may be mistyped twice: what is typed has eight, the word itself two less."""

_TWO_LETTERS: Final = {"ß": "ss", "æ": "ae", "œ": "oe", "þ": "th"}
_LETTERS: Final = {"ı": "i", "ø": "o", "đ": "d", "ð": "d", "ł": "l", "ħ": "h", "ŧ": "t", "ς": "σ"}
_RANGES: Final = ((0xC0, 0x24F), (0x370, 0x3FF), (0x1E00, 0x1FFF))
"""Latin and Greek letters with accents. Those of other scripts are letters of their own."""


def create_functions(connection: sa.Connection, language: str) -> None:
    """Create all functions, or replace those that there are. `language` is a text search configuration."""
    set_language(connection, language)
    functions = (_plain(connection), _WORDS, _SPELLINGS, _LEARN, _LOOKS, _TAGS, _INDEX_CHANGED)
    # whoever may execute them could write into the index by a trigger on a table of their own
    rights = f"REVOKE ALL ON FUNCTION {INDEX_CHANGED} FROM PUBLIC"
    comments = (f"COMMENT ON FUNCTION {function} IS '{comment}'" for function, comment in COMMENTS.items())
    execute_all(connection, [*functions, rights, *comments])


def _plain(connection: sa.Connection) -> str:
    plain = lower_of(connection)
    for letter, letters in _TWO_LETTERS.items():
        plain = f"replace({plain}, '{letter}', '{letters}')"
    accented = _accented()
    return (
        f"CREATE OR REPLACE FUNCTION {PLAIN} RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ "
        f'SELECT CASE WHEN octet_length($1) = length($1) THEN lower($1 COLLATE "C") ELSE regexp_replace('
        f"translate({plain} COLLATE \"C\", '{''.join(accented)}', '{''.join(accented.values())}'), "
        "U&'[\\0300-\\036f]', '', 'g') END $$"
    )


def _accented() -> dict[str, str]:
    """The letters with an accent, each with the one that it is without."""
    letters = dict(_LETTERS)
    for first, last in _RANGES:
        for letter in map(chr, range(first, last + 1)):
            base = unicodedata.normalize("NFD", letter)[0]
            if base != letter and base.isalpha() and letter.lower() == letter:
                letters[letter] = _LETTERS.get(base, base)
    return letters


_WORDS: Final = f"""
CREATE OR REPLACE FUNCTION shared.search_words(name text, looks text, tags text, description text)
RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT setweight(to_tsvector(shared.search_language(), shared.search_text(left(coalesce(name, ''), 1000))), 'A')
        || setweight(to_tsvector(shared.search_language(), shared.search_text(left(coalesce(looks, ''), 1000))), 'B')
        || setweight(to_tsvector(shared.search_language(), shared.search_text(left(coalesce(tags, ''), 2000))), 'C')
        || setweight(to_tsvector(shared.search_language(),
                                 shared.search_text(left(coalesce(description, ''), {LONGEST_TEXT}))), 'D')
$$
"""

_SPELLINGS: Final = f"""
CREATE OR REPLACE FUNCTION {SPELLINGS.replace("(text)", "(word text)")} RETURNS SETOF text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    WITH once AS (
        SELECT overlay(word PLACING '' FROM place FOR 1) AS spelling FROM generate_series(1, length(word)) place
    )
    SELECT word UNION SELECT spelling FROM once
    UNION SELECT overlay(spelling PLACING '' FROM place FOR 1)
    FROM once, generate_series(1, length(spelling)) place WHERE length(word) >= {TWO_EDITS_FROM}
$$
"""  # noqa: S608  of constants

# Not unique, and without a lock on words that others add at the same time: two writers who add the same words in
# another order would wait for each other for ever. A word that is there twice is found once.
_LEARN: Final = f"""
CREATE OR REPLACE FUNCTION {LEARN.replace("(text[])", "(texts text[])")} RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = '' AS $$
    INSERT INTO shared.search_spellings (spelling, word)
    SELECT spelling, word FROM (
        SELECT DISTINCT lexeme AS word
        FROM unnest(texts) AS given (words), unnest(to_tsvector('pg_catalog.simple', left(words, {LONGEST_TEXT})))
        WHERE length(lexeme) BETWEEN {SHORTEST_WORD} AND {LONGEST_WORD} AND lexeme ~ '^[[:alpha:]]+$'
    ) AS said, shared.search_spellings_of(word) spelling
    WHERE NOT EXISTS (SELECT FROM shared.search_spellings known WHERE known.spelling = word AND known.word = said.word)
$$
"""  # noqa: S608  of constants

_LOOKS: Final = f"""
CREATE OR REPLACE FUNCTION {LOOKS.replace("(jsonb)", "(properties jsonb)")} RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT string_agg(properties ->> name, ' ' ORDER BY place)
    FROM unnest(ARRAY['color', 'material', 'texture', 'patternType']) WITH ORDINALITY AS named (name, place)
    WHERE jsonb_typeof(properties) = 'object' AND jsonb_typeof(properties -> name) = 'string'
$$
"""  # noqa: S608  of constants

_TAGS: Final = f"""
CREATE OR REPLACE FUNCTION {TAGS.replace("(jsonb)", "(tags jsonb)")} RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT string_agg(tag #>> '{{}}', ' ' ORDER BY place)
    FROM jsonb_array_elements(CASE jsonb_typeof(tags) WHEN 'array' THEN tags ELSE '[]' END)
        WITH ORDINALITY AS listed (tag, place)
    WHERE jsonb_typeof(tag) = 'string'
$$
"""  # noqa: S608  of constants

# For all rows of a statement at once: a row at a time takes a hundred times as long.
_INDEX_CHANGED: Final = f"""
CREATE OR REPLACE FUNCTION {INDEX_CHANGED} RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    ids uuid[];
BEGIN
    IF TG_OP = 'INSERT' THEN
        ids := ARRAY(SELECT id FROM changed);
    ELSE
        ids := ARRAY(
            SELECT id FROM changed JOIN before USING (id)
            WHERE (changed.name, changed.description, changed.properties)
                IS DISTINCT FROM (before.name, before.description, before.properties)
        );
    END IF;
    IF ids <> '{{}}' THEN
        INSERT INTO catalog.item_search (item_id, words)
        SELECT id, shared.search_words(name, shared.search_looks(properties),
                                       shared.search_tags(properties -> 'tags'), description)
        FROM changed WHERE id = ANY (ids)
        ON CONFLICT (item_id) DO UPDATE SET words = excluded.words WHERE item_search.words <> excluded.words;
        PERFORM shared.learn_search_words(ARRAY(
            SELECT shared.search_text(concat_ws(' ', name, shared.search_looks(properties),
                                                shared.search_tags(properties -> 'tags'),
                                                left(description, {LONGEST_TEXT})))
            FROM changed WHERE id = ANY (ids)
        ));
    END IF;
    RETURN NULL;
END
$$
"""  # noqa: S608  of constants

_ITEMS: Final = """
INSERT INTO catalog.item_search (item_id, words)
SELECT id, shared.search_words(name, shared.search_looks(properties), shared.search_tags(properties -> 'tags'),
                               description)
FROM catalog.catalog_items
ON CONFLICT (item_id) DO UPDATE SET words = excluded.words WHERE item_search.words <> excluded.words
"""

_WORDS_OF_ITEMS: Final = """
SELECT shared.learn_search_words(ARRAY(
    SELECT DISTINCT lexeme FROM catalog.catalog_items, unnest(to_tsvector('pg_catalog.simple',
        shared.search_text(left(concat_ws(' ', name, shared.search_looks(properties),
                                          shared.search_tags(properties -> 'tags'), description), 50000))))
))
"""

_OF_THESE: Final = """
WITH those AS MATERIALIZED (
    SELECT id, name, description, properties FROM catalog.catalog_items
    WHERE id = ANY (CAST(:ids AS uuid[])) FOR SHARE {skipping}
), written AS (
    INSERT INTO catalog.item_search (item_id, words)
    SELECT id, shared.search_words(name, shared.search_looks(properties), shared.search_tags(properties -> 'tags'),
                                   description)
    FROM those
    ON CONFLICT (item_id) DO UPDATE SET words = excluded.words WHERE item_search.words <> excluded.words
)
SELECT id, shared.search_text(left(concat_ws(' ', name, shared.search_looks(properties),
                                             shared.search_tags(properties -> 'tags'), description), 50000)) AS text
FROM those
"""
_AFTER: Final = sa.text("SELECT id FROM catalog.catalog_items WHERE id > CAST(:after AS uuid) ORDER BY id LIMIT :size")
_LEARN_TEXTS: Final = sa.text("SELECT shared.learn_search_words(CAST(:texts AS text[]))")
FIRST: Final = "00000000-0000-0000-0000-000000000000"
"""Comes before the ids of all items."""


def index_items(connection: sa.Connection) -> None:
    """Make the words of all catalog items anew, in this transaction."""
    connection.exec_driver_sql(_ITEMS)
    connection.exec_driver_sql(_WORDS_OF_ITEMS)


def items_after(connection: sa.Connection, after: str, size: int) -> list[str]:
    """The next items in the order of their ids."""
    return [str(each) for each in connection.scalars(_AFTER, {"after": after, "size": size})]


def index_these(connection: sa.Connection, ids: list[str], *, wait: bool) -> list[str]:
    """Make the words of these items anew, and keep the items from being changed until the transaction ends.

    Items that somebody is changing are waited for, or else skipped. Returns those: waiting for many at a time could end
    in a deadlock.
    """
    statement = sa.text(_OF_THESE.format(skipping="" if wait else "SKIP LOCKED"))
    rows = connection.execute(statement, {"ids": ids}).all()
    connection.execute(_LEARN_TEXTS, {"texts": [row.text for row in rows]})
    return sorted(set(ids) - {str(row.id) for row in rows})
