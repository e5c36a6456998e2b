"""Settings of the two stores and of their circuit breakers."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Literal, Self
from urllib.parse import quote

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings

from api.config.postgres_url import parse
from api.config.setting_types import MongoUri, PostgresUrl, PostgresUrls, urls

_LONGEST_COMMAND = 4000
"""Characters."""


class StoreSettings(BaseSettings):
    """How PostgreSQL and MongoDB are reached, and when they are cut off."""

    database_url: PostgresUrl | None = Field(None, description="PostgreSQL URL; wins over the POSTGRES_ parts")
    migration_database_url: PostgresUrl | None = Field(
        None, description="The same for migrations: of the role that owns the tables, past a pooler; else DATABASE_URL"
    )
    database_replica_urls: PostgresUrls | None = Field(
        None, description="URLs of streaming replicas, with commas or spaces between, which queries are read from"
    )
    replica_max_lag: float = Field(
        5.0, ge=1, description="Longest that a replica may be behind; beyond, the primary is read"
    )
    replica_timeout: float = Field(
        0.5, gt=0, description="Longest silence of a replica, before the primary is read in its place"
    )
    postgres_host: str | None = Field(None, description="PostgreSQL host")
    postgres_port: int = Field(5432, description="PostgreSQL port")
    postgres_user: str = Field("postgres", description="PostgreSQL user")
    postgres_password: SecretStr | None = Field(None, description="PostgreSQL password")
    postgres_password_file: Path | None = Field(
        None, description="File with PostgreSQL's password, read for each new connection"
    )
    postgres_password_command: str | None = Field(
        None, description="Command that prints it, run for each new connection, without a shell"
    )
    postgres_password_timeout: float = Field(10.0, gt=0, description="Longest that this command may take")
    postgres_db: str = Field("fashion_wallet", description="PostgreSQL database")
    postgres_ssl: Literal["disable", "prefer", "require", "verify-ca", "verify-full"] = Field(
        "disable", description="TLS to PostgreSQL"
    )
    postgres_ssl_unverified: bool = Field(
        False,
        description="Let production use a PostgreSQL on another host whose certificate POSTGRES_SSL doesn't check",
    )
    postgres_ssl_root_cert: Path | None = Field(None, description="Certificate authority file for PostgreSQL")
    postgres_pool_size: int = Field(10, ge=1, description="Connections kept open, a process")
    postgres_max_overflow: int = Field(
        0, ge=0, description="Connections beyond them under load, opened and closed each time: waiting is cheaper"
    )
    postgres_pool_timeout: float = Field(5.0, gt=0, description="Longest wait for a free connection")
    postgres_pool_recycle: int = Field(1800, gt=0, description="Age at which a connection is replaced")
    postgres_connect_timeout: float = Field(5.0, gt=0, description="Longest wait for a new connection")
    postgres_pooler: Literal["none", "transaction"] = Field(
        "none",
        description="transaction where a pooler such as PgBouncer lends connections by the transaction",
    )
    row_level_security: bool = Field(False, description="Let PostgreSQL check rights too, a transaction a read")
    statement_timeout: float = Field(10.0, gt=0, description="Longest a statement or MongoDB command may run")
    coalescing: bool = Field(
        True,
        description="Send reads that would queue up together, and execute equal queries once",
    )

    mongodb_uri: MongoUri | None = Field(None, description="MongoDB URI")
    mongodb_database: str | None = Field(None, description="MongoDB database; else the URI's, else fashion_wallet")
    mongodb_max_pool_size: int = Field(50, ge=1, description="Most connections to MongoDB, a process")
    mongodb_min_pool_size: int = Field(0, ge=0, description="Connections to MongoDB kept open")
    mongodb_max_idle_time: float = Field(300.0, gt=0, description="Age at which an idle connection is closed")
    mongodb_connect_timeout: float = Field(5.0, gt=0, description="Longest wait for a new connection")
    mongodb_selection_timeout: float = Field(2.0, gt=0, description="Longest search for a usable server")
    mongodb_api_version: Literal["1"] | None = Field(
        None, description="Version of the Stable API, which servers with requireApiVersion ask for"
    )
    mongodb_read_preference: Literal["primary", "primaryPreferred", "secondaryPreferred", "nearest"] | None = Field(
        None, description="Members of the replica set that queries are read from; else the URI's readPreference"
    )
    mongodb_tls_ca_file: Path | None = Field(None, description="Certificate authority file for MongoDB")

    breaker_failures: int = Field(5, ge=1, description="Connection failures in a row that cut a store off")
    breaker_window: float = Field(10.0, gt=0, description="Time within which they count as in a row")
    breaker_patience: float = Field(2.0, gt=0, description="Longest silence of a store that is waited for, unprobed")
    breaker_probe_timeout: float = Field(
        2.0, gt=0, description="Longest wait for a probe's answer; silent, it is cut off"
    )
    breaker_probe_interval: float = Field(0.5, gt=0, description="Time between probes of a store that is cut off")

    @model_validator(mode="after")
    def _one_password(self) -> Self:
        """One of the three, and none of them beside a URL that has one: which wins would be a guess."""
        ways = ("postgres_password", "postgres_password_file", "postgres_password_command")
        given = [name.upper() for name in ways if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} are set, and PostgreSQL has one password")
        if self.reads_password:
            for name in ("database_url", "migration_database_url", "database_replica_urls"):
                text = getattr(self, name)
                if text is not None and any(parse(url).has_password for url in urls(text.get_secret_value())):
                    raise ValueError(f"{given[0]} is set, and {name.upper()} has a password, too")
        if self.postgres_password_command is not None:
            if len(self.postgres_password_command) > _LONGEST_COMMAND:  # splitting it takes time by its square
                raise ValueError(f"POSTGRES_PASSWORD_COMMAND is longer than {_LONGEST_COMMAND} characters")
            try:
                words = shlex.split(self.postgres_password_command)
            except ValueError as error:
                raise ValueError(f"POSTGRES_PASSWORD_COMMAND: {str(error).lower()}") from None
            if not words:
                raise ValueError("POSTGRES_PASSWORD_COMMAND is empty")
        return self

    @property
    def reads_password(self) -> bool:
        """Whether PostgreSQL's password is read for each new connection."""
        return self.postgres_password_file is not None or self.postgres_password_command is not None

    @property
    def postgres_url(self) -> str | None:
        """`postgresql://...` of the configured server, or None where none is configured."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        if self.postgres_host is None:
            return None
        password = self.postgres_password.get_secret_value() if self.postgres_password else ""
        login = quote(self.postgres_user, safe="") + (f":{quote(password, safe='')}" if password else "")
        # a socket's folder, an IPv6 address
        host = quote(self.postgres_host, safe=":,[]")
        host = f"[{host.strip('[]')}]" if host.count(":") > 1 and "," not in host else host
        return f"postgresql://{login}@{host}:{self.postgres_port}/{quote(self.postgres_db, safe='')}"

    @property
    def replica_urls(self) -> tuple[str, ...]:
        """The URLs of PostgreSQL's replicas."""
        return () if self.database_replica_urls is None else urls(self.database_replica_urls.get_secret_value())

    @property
    def for_migrations(self) -> Self:
        """These settings as migrations have them: on the server of MIGRATION_DATABASE_URL, where there is one."""
        url = self.migration_database_url
        return self if url is None else self.model_copy(update={"database_url": url})

    @property
    def mongodb_url(self) -> str | None:
        """`mongodb://...` of the configured server, or None where none is configured."""
        return self.mongodb_uri.get_secret_value() if self.mongodb_uri is not None else None
