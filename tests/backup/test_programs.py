"""How PostgreSQL's programs are found, and told of the server."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from api.backup.errors import BackupError
from api.backup.programs import environment, program
from api.config.settings import ConfigurationError, Settings

URL = SecretStr("postgresql://ada@db.test:6000,[::1]:6001/wallet?sslmode=verify-full&connect_timeout=3")


def test_the_server_of_migrations_is_told_by_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "elsewhere.test")
    (tmp_path / "password").write_text("secret\n")
    settings = Settings(
        _env_file=None,
        database_url=SecretStr("postgresql://api@pooler.test/wallet"),
        migration_database_url=URL,
        postgres_pooler="transaction",
        postgres_password_file=tmp_path / "password",
        postgres_ssl_root_cert=tmp_path / "ca.pem",
    )

    told = {name: value for name, value in environment(settings).items() if name.startswith("PG")}

    assert told == {
        "PGHOST": "db.test,::1", "PGPORT": "6000,6001", "PGUSER": "ada", "PGDATABASE": "wallet",
        "PGPASSWORD": "secret", "PGSSLMODE": "verify-full", "PGSSLROOTCERT": str(tmp_path / "ca.pem"),
        "PGAPPNAME": "fashion-wallet",
    }  # fmt: skip


def test_a_command_may_have_the_password() -> None:
    settings = Settings(
        _env_file=None, database_url=URL, postgres_password_command="sh -c 'echo token of $PGUSER at $PGDATABASE'"
    )

    assert environment(settings)["PGPASSWORD"] == "token of ada at wallet"


def test_a_pooler_is_no_place_for_a_dump() -> None:
    settings = Settings(_env_file=None, database_url=URL, postgres_pooler="transaction")

    with pytest.raises(ConfigurationError, match="set MIGRATION_DATABASE_URL to the server behind the pooler"):
        environment(settings)


def test_the_oldest_program_that_is_new_enough_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for version in (93, 95, 94):
        path = tmp_path / str(version) / "pg_dump"
        path.parent.mkdir()
        path.write_text(f"#!/bin/sh\necho 'pg_dump (PostgreSQL) {version}.1'\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / '94'}:/usr/bin:/bin")

    assert program("pg_dump", 91, tmp_path / "95") == tmp_path / "94" / "pg_dump"
    assert program("pg_dump", 95, tmp_path / "95") == tmp_path / "95" / "pg_dump"
    with pytest.raises(BackupError, match=r"there is no pg_dump of PostgreSQL 96 or newer .*95/pg_dump \(95\)"):
        program("pg_dump", 96, tmp_path / "95")
