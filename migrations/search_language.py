"""The language of search: the text search configuration of PostgreSQL that words are stemmed by."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from migrations.errors import MigrationError

LANGUAGE: Final = "shared.search_language()"

_KNOWN: Final = sa.text("""
    SELECT quote_ident(nspname) || '.' || quote_ident(cfgname) AS configuration,
        nspname || '.' || cfgname = :language OR (cfgname = :language AND
            (nspname = 'pg_catalog' OR pg_ts_config_is_visible(pg_ts_config.oid))) AS is_meant,
        CASE WHEN nspname = 'pg_catalog' THEN cfgname ELSE nspname || '.' || cfgname END AS name
    FROM pg_ts_config JOIN pg_namespace ON pg_namespace.oid = cfgnamespace
    ORDER BY nspname = 'pg_catalog' DESC, name
""")
_DIFFERS: Final = sa.text("SELECT shared.search_language() <> CAST(:configuration AS regconfig)")
_IS_INDEXED: Final = sa.text(
    "SELECT EXISTS (SELECT FROM catalog.item_search) OR EXISTS (SELECT FROM design.design_search)"
)
_EXISTS: Final = sa.text(f"SELECT to_regprocedure('{LANGUAGE}') IS NOT NULL")


def set_language(connection: sa.Connection, language: str) -> None:
    """Let words be stemmed in this language from now on; what is indexed stays until it is indexed again.

    Raises MigrationError where PostgreSQL doesn't know the language.
    """
    configuration = _configuration(connection, language).replace("'", "''")
    connection.exec_driver_sql(
        f"CREATE OR REPLACE FUNCTION {LANGUAGE} RETURNS regconfig LANGUAGE sql IMMUTABLE PARALLEL SAFE "
        f"AS $search$ SELECT '{configuration}'::regconfig $search$"
    )


def language_differs(connection: sa.Connection, language: str) -> bool:
    """Whether search is indexed in another language; never before its revision is applied.

    Raises MigrationError where PostgreSQL doesn't know the language.
    """
    if not connection.scalar(_EXISTS):
        return False
    configuration = _configuration(connection, language)
    return bool(connection.scalar(_DIFFERS, {"configuration": configuration}))


def adopt_language(connection: sa.Connection, language: str) -> list[str]:
    """Take the language over where nothing is indexed yet, in a transaction. Otherwise, a line that says what to do.

    Raises MigrationError where PostgreSQL doesn't know the language.
    """
    with connection.begin():
        if not language_differs(connection, language):
            return []
        if connection.scalar(_IS_INDEXED):
            return [f"search is indexed in another language than {language}: run `fashion-wallet search rebuild`"]
        set_language(connection, language)
        return [f"search is indexed in {language}"]


def _configuration(connection: sa.Connection, language: str) -> str:
    known = connection.execute(_KNOWN, {"language": language}).all()
    for row in known:
        if row.is_meant:
            configuration: str = row.configuration
            return configuration
    raise MigrationError(f"SEARCH_LANGUAGE must be one of {', '.join(row.name for row in known)}, not {language}")
