"""PostgreSQL's `shared.fold`: a text as it is compared, whatever the locale of the database.

It gives what `api.folding.folded` gives. Which collation knows letters outside of ASCII differs from server to server:
`pg_c_utf8` since PostgreSQL 17, ICU's root where the server was built with it. Where there is neither, capitals are
replaced by a table, which is right and slower.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

FOLD: Final = "shared.fold(text)"
COMMENT: Final = "A text in lower case and NFC, whatever the locale of the database; equal texts are the same to users"
_COLLATIONS: Final = ("pg_c_utf8", "und-x-icu")
"""Those that know Unicode's letters and no language. The first that the server has is used."""
_LAST_CASED: Final = 0x1FFFF
"""No letter beyond has a case."""


def create_fold(connection: sa.Connection) -> None:
    """Create the function, or replace the one that there is."""
    lower = lower_of(connection)
    connection.exec_driver_sql(
        f"CREATE OR REPLACE FUNCTION {FOLD} RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ "
        # one expression without STRICT, so that the planner puts it in the place of the call
        'SELECT CASE WHEN octet_length($1) = length($1) THEN lower($1 COLLATE "C") '
        f"ELSE translate(normalize(replace({lower} COLLATE \"C\", U&'i\\0307', 'i')), 'ς', 'σ') END $$"
    )
    connection.exec_driver_sql(f"COMMENT ON FUNCTION {FOLD} IS '{COMMENT}'")


def lower_of(connection: sa.Connection) -> str:
    """The text $1 in small letters, as SQL, whatever the locale of the database."""
    found = set(
        connection.scalars(
            sa.text(
                "SELECT collname FROM pg_collation "
                "WHERE collname = ANY(:names) AND collnamespace = 'pg_catalog'::regnamespace"
            ),
            {"names": list(_COLLATIONS)},
        )
    )
    collation = next((name for name in _COLLATIONS if name in found), None)
    if collation is not None:
        return f'lower($1 COLLATE "{collation}")'
    capitals = [
        letter
        for letter in map(chr, range(0x80, _LAST_CASED + 1))
        if len(letter.lower()) == 1 and letter.lower() != letter
    ]
    small = "".join(letter.lower() for letter in capitals)
    return f"translate(lower(replace($1, 'İ', 'i') COLLATE \"C\"), '{''.join(capitals)}', '{small}')"
