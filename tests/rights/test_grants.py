"""A role that owns nothing serves the whole API with the rights that `migrate grants` prints, and with no fewer.

Every mutation as the role is in `test_mutation_rights.py`, every field in `test_grants_for_reads.py`.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from pydantic import SecretStr
from starlette.applications import Starlette

from api.admission.trusted import store
from api.config.settings import Settings
from api.http.application import create_app
from api.stores.postgres.row_level_security import ROLE
from migrations import runner
from migrations.roles import APPLICATION_ROLE
from models import Base
from tests.support.stores.databases import fresh_database, scalar, sql
from tests.support.stores.roles import granted_role, of_role, printed

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def role(settings: Settings) -> Iterator[str]:
    with granted_role(settings) as name:
        yield name


@pytest.fixture(scope="module")
def world_settings(settings: Settings, role: str) -> Settings:
    return of_role(settings, role)


async def test_documents_are_registered_and_run_as_the_role(world_settings: Settings, anyio_backend: str) -> None:
    app: Starlette = create_app(world_settings.model_copy(update={"trusted_documents": "enforce"}))
    async with app.router.lifespan_context(app):
        stores = app.state.stores
        # when
        async with stores.sessions.begin() as transaction:
            await store.add(transaction, [store.Entry("me", "query Me { viewer { id } }", "Me")])

        # then
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
            response = await client.post("/graphql", json={"documentId": "me"})
            assert response.json()["data"] == {"viewer": None}

        # and when
        async with stores.sessions.begin() as transaction:
            assert await store.remove(transaction, ["me"]) == {"me"}


def test_what_is_printed_is_all_that_the_role_gets(settings: Settings, role: str) -> None:
    written = {"SELECT", "INSERT", "UPDATE", "DELETE"}
    wanted = dict.fromkeys(Base.metadata.tables, written) | {
        "audit.audit_log": {"SELECT"},
        "shared.alembic_version": {"SELECT"},
    }
    rows = sql(
        settings,
        "SELECT table_schema || '.' || table_name AS name, privilege_type AS privilege "
        f"FROM information_schema.table_privileges WHERE grantee = '{role}'",
    )
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(row["name"], set()).add(row["privilege"])
    assert found == wanted


def test_the_name_of_a_role_is_quoted_where_it_must_be() -> None:
    assert printed("api")[:48] == "GRANT USAGE ON SCHEMA audit, avatar, catalog, de"
    assert {line.rpartition(" TO ")[2] for line in printed('Odd "one"').splitlines()} == {'"Odd ""one""";'}


def test_the_name_is_that_of_row_level_security() -> None:
    assert APPLICATION_ROLE == ROLE


@pytest.fixture
def owned(postgres_url: str, mongodb_url: str) -> Iterator[Settings]:
    """Settings of an empty database: its owner migrates, who is no superuser, and another role serves."""
    owner, server = (f"{what}_{uuid.uuid4().hex}" for what in ("owner", "server"))
    with fresh_database(postgres_url, mongodb_url) as settings:
        name = urlsplit(settings.postgres_url or "").path[1:]
        sql(
            settings,
            f"CREATE ROLE {owner} LOGIN",
            f"CREATE ROLE {server} LOGIN",
            f"ALTER DATABASE {name} OWNER TO {owner}",
        )
        migrating = of_role(settings, owner).database_url
        yield of_role(settings, server).model_copy(update={"migration_database_url": migrating})
    postgres = settings.model_copy(update={"database_url": SecretStr(postgres_url)})
    sql(postgres, f"DROP ROLE {owner}", f"DROP ROLE {server}")


def test_a_run_gives_the_servers_role_its_rights(owned: Settings) -> None:
    # when
    lines = runner.upgrade(owned)

    # then
    server = urlsplit(owned.postgres_url or "").username
    assert f"PostgreSQL: gave {server} the rights that the API needs" in lines
    for table in Base.metadata.tables:
        assert scalar(owned, f"SELECT count(*) FROM {table}") == 0

    # and when: again, and after a table of theirs was taken away
    assert [line for line in runner.upgrade(owned) if "rights" in line] == []
    sql(
        owned.model_copy(update={"database_url": owned.migration_database_url}),
        f"REVOKE INSERT ON shared.trusted_documents FROM {server}",
    )

    # then
    assert f"PostgreSQL: gave {server} the rights that the API needs" in runner.upgrade(owned)


def test_rights_that_a_run_may_not_give_are_printed(owned: Settings, postgres_url: str) -> None:
    runner.upgrade(owned)
    superuser = owned.model_copy(
        update={
            "database_url": SecretStr(
                urlsplit(postgres_url)._replace(path=urlsplit(owned.postgres_url or "").path).geturl()
            )
        }
    )
    server = urlsplit(owned.postgres_url or "").username
    sql(
        superuser,
        "ALTER TABLE shared.trusted_documents OWNER TO postgres",
        f"REVOKE ALL ON shared.trusted_documents FROM {server}",
    )
    [line] = [line for line in runner.upgrade(owned) if "rights" in line]
    assert line.startswith(
        f"PostgreSQL: {server} lacks rights that the API needs; let an administrator run: GRANT USAGE"
    )

    # when
    sql(superuser, *line.partition("run: ")[2].split("; "))

    # then
    assert scalar(owned, "SELECT count(*) FROM shared.trusted_documents") == 0


@pytest.mark.parametrize("wall", [True, False])
def test_who_may_not_make_members_is_told_what_the_wall_needs(settings: Settings, owned: Settings, wall: bool) -> None:
    # given: the role is there, made by the migration of the suite's own database
    walled = owned.model_copy(update={"row_level_security": wall})

    # when
    lines = runner.upgrade(walled)

    # then
    server = urlsplit(owned.postgres_url or "").username
    told = f"PostgreSQL: {server} lacks rights that the API needs; let an administrator run: GRANT {ROLE} TO {server}"
    assert (told in lines) is wall
    assert scalar(owned, f"SELECT has_table_privilege('{ROLE}', 'shared.trusted_documents', 'DELETE')") is True
