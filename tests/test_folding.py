"""One folding for both stores: PostgreSQL's function, MongoDB's pattern and Python's function agree."""

from __future__ import annotations

import asyncio
import subprocess
import unicodedata
from collections.abc import Iterator
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

import migrations.folding
from api.config.settings import Settings
from api.folding import composed, folded, pattern
from api.stores.stores import Stores
from migrations import runner
from migrations.errors import MigrationError
from tests.support.applications import running
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.designs import create_design
from tests.support.factories.users import create_user, users
from tests.support.graphql import execute
from tests.support.mutations.accounts import refused, sign_in, sign_up
from tests.support.signing_in import as_admin
from tests.support.stores.databases import create_from_models, fresh_database, scalar, sql

LETTERS = [chr(code) for code in range(1, 0x1EFFF) if unicodedata.category(chr(code)) not in ("Cs", "Cn", "Co")]


@pytest.fixture
def fresh(postgres_url: str, mongodb_url: str) -> Iterator[Settings]:
    """Settings of a fresh, empty database in each store."""
    with fresh_database(postgres_url, mongodb_url) as fresh:
        yield fresh


def folds(settings: Settings) -> list[str]:
    """What PostgreSQL makes of every letter that Python knows."""
    assert settings.postgres_url is not None

    async def ask() -> list[str]:
        connection = await asyncpg.connect(settings.postgres_url)
        rows = await connection.fetch(
            "SELECT shared.fold(letter) AS folded FROM unnest($1::text[]) WITH ORDINALITY AS l (letter, n) ORDER BY n",
            LETTERS,
        )
        await connection.close()
        return [row["folded"] for row in rows]

    return asyncio.run(ask())


@pytest.mark.parametrize("collations", [("pg_c_utf8",), ("und-x-icu",), ()], ids=["builtin", "icu", "table"])
def test_every_letter_is_folded_as_in_python(
    fresh: Settings, monkeypatch: pytest.MonkeyPatch, collations: tuple[str, ...]
) -> None:
    for collation in collations:
        if scalar(fresh, f"SELECT count(*) FROM pg_collation WHERE collname = '{collation}'") == 0:
            pytest.skip(f"this PostgreSQL has no collation {collation}")
    monkeypatch.setattr(migrations.folding, "_COLLATIONS", collations)
    create_from_models(fresh)

    different = [
        letter
        for letter, found in zip(LETTERS, folds(fresh), strict=True)
        # letters of the newest Unicode are known to some only
        if found != folded(letter) and unicodedata.ucd_3_2_0.category(letter) != "Cn"
    ]

    assert different == []


TEXTS = st.text(st.sampled_from("aAiIİıkK\u212aåÅ\u212béÉσςΣßẞ .-") | st.sampled_from("\u0301\u0307\u030a"), max_size=8)


@given(TEXTS)
def test_a_text_is_folded_alike_in_every_form(text: str) -> None:
    assert folded(composed(text)) == folded(text)
    assert folded(unicodedata.normalize("NFD", text)) == folded(text)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("stored", "sought", "found"),
    [
        ("ΣΟΦΟΣ", "σοφος", True),
        ("σοφος", "ΣΟΦΟΣ", True),
        ("E\u0301mile", "émile", True),
        ("Émile", "e\u0301mile", True),
        ("ÉMILE", "éMi", True),
        ("E\u0301mile", "e", True),  # the last letter
        ("E\u0301", "e", False),
        ("É", "e", False),
        ("LINEN", "linen", True),
        ("İstanbul", "istanbul", True),
        ("istanbul", "İSTANBUL", True),
        ("ısı", "isi", False),
        ("ISI", "isi", True),
        ("Straße", "STRAẞE", True),
        ("Straße", "strasse", False),
        ("\u212belvin", "ångström", False),
        ("\u212bngström", "ångstr", True),
        ("10 \u212a", "k", True),
    ],
)
async def test_both_stores_find_the_same(
    stores: Stores, admin: httpx.AsyncClient, stored: str, sought: str, found: bool
) -> None:
    await create_catalog_item(stores, name=stored)
    await create_design(stores, name=stored)
    await create_user(stores, first_name=stored)
    query = """query ($text: String!) {
        catalogItems(filter: { name: { contains: $text } }) { totalCount }
        designs(filter: { name: { contains: $text } }) { totalCount }
        users(filter: { firstName: { contains: $text } }) { totalCount }
    }"""
    beginning = query.replace("contains", "startsWith")
    starts = folded(stored).startswith(folded(sought))

    data = await execute(admin, query, text=sought)
    assert [page["totalCount"] for page in data.values()] == [int(found)] * 3
    data = await execute(admin, beginning, text=sought)
    assert [page["totalCount"] for page in data.values()] == [int(starts)] * 3


def test_nothing_is_found_by_nothing() -> None:
    assert pattern("") == ""


@pytest.mark.anyio
async def test_what_is_written_is_composed(stores: Stores, client: httpx.AsyncClient) -> None:
    await sign_up(client, "rene\u0301@example.com", firstName="Rene\u0301")

    [rene] = await users(stores).find_all()
    assert (rene.email, rene.first_name) == ("ren\u00e9@example.com", "Ren\u00e9")


def turkish(settings: Settings) -> Settings:
    """Settings of a database of a Turkish locale, where a small `I` has no dot; to be dropped with its server."""
    if "tr_TR.utf8" not in subprocess.run(["locale", "-a"], capture_output=True, text=True, check=True).stdout:
        pytest.skip("this machine has no locale tr_TR.UTF-8 (Debian: apt-get install locales, and localedef)")
    assert settings.postgres_url is not None
    url = urlsplit(settings.postgres_url)
    name = f"{url.path[1:]}_tr"
    version = scalar(settings, "SELECT current_setting('server_version_num')::int")
    provider = "LOCALE_PROVIDER libc" if version >= 150000 else ""
    sql(settings, f"CREATE DATABASE {name} TEMPLATE template0 {provider} LOCALE 'tr_TR.UTF-8' ENCODING 'UTF8'")
    return settings.model_copy(update={"database_url": SecretStr(url._replace(path=f"/{name}").geturl())})


def test_a_turkish_database_is_like_any_other(fresh: Settings) -> None:
    there = turkish(fresh)
    assert scalar(there, "SELECT lower('I')") == "ı"
    runner.upgrade(there)

    async def use() -> None:
        async with running(there) as (app, client):
            await sign_up(client, "INFO@example.com")
            assert await refused(client, "signUp", email="info@example.com", password="a password of theirs") == [
                ("EMAIL_TAKEN", ["email"])
            ]
            await sign_in(client, "info@EXAMPLE.com")
            await create_catalog_item(app.state.stores, name="Fine Linen")
            async with as_admin(client, app) as admin:
                query = "query ($t: String!) { catalogItems(filter: { name: { contains: $t } }) { totalCount } }"
                assert (await execute(admin, query, t="LINEN"))["catalogItems"]["totalCount"] == 1

    asyncio.run(use())
    sql(fresh, f"DROP DATABASE {urlsplit(there.postgres_url or '').path[1:]} WITH (FORCE)")


def test_accounts_that_become_one_stop_the_upgrade(fresh: Settings) -> None:
    runner.upgrade(fresh, "5d2e8f4b6a91")
    sql(
        fresh,
        "INSERT INTO shared.users (id, email, password_hash) VALUES "
        "('00000000-0000-7000-8000-000000000001', 'info@example.com', '-'), "
        "('00000000-0000-7000-8000-000000000002', '  INFO@example.com', '-'), "
        "('00000000-0000-7000-8000-000000000003', 'other@example.com', '-')",
    )

    with pytest.raises(MigrationError) as refusal:
        runner.upgrade(fresh)

    assert str(refusal.value).splitlines()[1:3] == [
        "1. shared.users: an email address belongs to one account, whatever its case, its form in Unicode and the "
        "blanks around it",
        "   broken once: 00000000-0000-7000-8000-000000000001 = 00000000-0000-7000-8000-000000000002",
    ]
    assert scalar(fresh, "SELECT count(*) FROM pg_proc WHERE proname = 'fold'") == 0
