"""What search knows of the large data set of `tests.benchmarks.bulk`: the words of its items, and so many designs.

A tenth of the items, and of the designs, has the word `dress` in its description, most have `made`, and all have `tag`.
The designs are only those that search knows: no document is read by what finds them.
"""

from __future__ import annotations

from typing import Final

from tests.benchmarks.bulk import COLOURS, FIRST, KINDS, SYLLABLES, TAGS, insert, loading, step

TABLES: Final = ("catalog.item_search", "design.design_search", "shared.search_spellings")

ROWS: Final = {
    "catalog.item_search": """
        INSERT INTO catalog.item_search (item_id, words)
        SELECT id, shared.search_words(name, looks, tags, description)
        FROM (
            SELECT id, name, description, concat_ws(' ', properties ->> 'color', properties ->> 'material') AS looks,
                   concat_ws(' ', properties #>> '{{tags,0}}', properties #>> '{{tags,1}}') AS tags
            FROM catalog.catalog_items
            WHERE $1::bigint + $2 > 0 AND $3::text[] <> $4::text[]
            OFFSET 0
        ) AS items""",
    "design.design_search": """
        INSERT INTO design.design_search (id, user_id, status, name, description, tags, updated_at, version, words)
        SELECT id, user_id, status, name, description, jsonb_build_array(tag), updated_at, 1,
               shared.search_words(name, NULL, tag, description)
        FROM (
            SELECT lpad(to_hex(n), 24, '0') AS id,
                   pg_temp.key('{user}', floor($1 * pg_temp.share(n, 81) ^ 3)::bigint, $2)::text AS user_id,
                   CASE WHEN pg_temp.share(n, 82) < 0.6 THEN 'published' WHEN pg_temp.share(n, 82) < 0.95 THEN 'draft'
                        ELSE 'archived' END AS status,
                   pg_temp.pick(n, 83, $3) || '''s ' || pg_temp.pick(n, 84, $4) || pg_temp.pick(n, 85, $4) AS name,
                   'Number ' || n || CASE n % 10 WHEN 3 THEN ', a dress' ELSE '' END AS description,
                   'tag ' || floor({tags} * pg_temp.share(n, 86) ^ 2) AS tag,
                   pg_temp.moment(n, $2) AS updated_at
            FROM generate_series(0::bigint, $1 - 1) AS n
            OFFSET 0
        ) AS designs""",
    "shared.search_spellings": """
        INSERT INTO shared.search_spellings (spelling, word)
        SELECT spelling, word
        FROM (
            SELECT DISTINCT lower(said) AS word
            FROM (
                SELECT first || last FROM unnest($4::text[]) AS first, unnest($4::text[]) AS last
                UNION ALL SELECT unnest($3::text[] || $4::text[] || '{colours}'::text[]
                                        || '{{made,dress,long,embroidered,cardigan}}'::text[])
            ) AS every (said)
            WHERE $1::bigint + $2 > 0 AND length(said) BETWEEN 3 AND 24
        ) AS words, shared.search_spellings_of(word) AS spelling""",
}
"""By table; all take the same values. The texts of an item, of which shared.search_words takes each several times, are
worked out once (OFFSET 0); of the words, all are spelled that may have been drawn."""


async def load(database_url: str, rows: int) -> dict[str, float]:
    """Fill the empty tables of search, after those of `bulk.load`; the seconds that each took.

    Raises ValueError where a table has rows.
    """
    took: dict[str, float] = {}
    async with loading(database_url, TABLES) as connection:
        # the spellings of each word are told apart in a table that is made as large as may be
        await connection.execute("SET work_mem = '64kB'")
        for table, statement in ROWS.items():
            filled = statement.format(tags=TAGS, colours=COLOURS, **KINDS)
            took[table] = await insert(connection, table, filled, rows, step(rows), FIRST, SYLLABLES)
    return took
