"""Settings: read once at the edge (`Settings()`), then passed in. Nothing reads the environment at import."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import quote

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from api.config.postgres_url import goes_unverified
from api.config.values import (
    HeaderNames,
    Hosts,
    MongoUri,
    Networks,
    Origins,
    PostgresUrl,
    Quota,
    Rate,
    RedisUrl,
    Secret,
    WebAddress,
    split,
)

Environment = Literal["development", "production"]

PRODUCTION_DEFAULTS: Final[dict[str, Any]] = {
    "log_format": "json",
    "allowed_hosts": "*",
    "cors_origins": "",
    "postgres_pool_size": 20,
    "postgres_ssl": "prefer",
    "statement_timeout": 5.0,
    "introspection": False,
    "suggestions": False,
    "explorer": False,
    "demo_pictures": False,
    "shutdown_delay": 2,
}
"""What differs in production; everything else has one default."""


class ConfigurationError(Exception):
    """The settings don't hold together; the message names the variable."""


class Settings(BaseSettings):
    """Every setting, from environment variables or `.env`. Times are in seconds unless said otherwise."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", env_ignore_empty=True, frozen=True)

    environment: Environment = Field("development", description="development or production")
    host: str = Field("127.0.0.1", description="Address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one")
    workers: int = Field(1, ge=1, le=64, description="Processes that serve")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged")
    log_format: Literal["console", "json"] = Field("console", description="console or json, a line each")
    security_log_addresses: Literal["plain", "hashed"] = Field(
        "plain", description="Addresses in the log lines of security events: plain, or a keyed hash of each"
    )
    data_dir: Path = Field(Path(".data"), description="Folder of the embedded servers and the explorer's files")
    embedded_postgres_bin: Path | None = Field(
        None, description="Folder of the PostgreSQL programs that `dev` and the tests start, else the package's"
    )

    database_url: PostgresUrl | None = Field(None, description="PostgreSQL URL; wins over the POSTGRES_ parts")
    migration_database_url: PostgresUrl | None = Field(
        None, description="The same for migrations: of the role that owns the tables, past a pooler; else DATABASE_URL"
    )
    postgres_host: str | None = Field(None, description="PostgreSQL host")
    postgres_port: int = Field(5432, description="PostgreSQL port")
    postgres_user: str = Field("postgres", description="PostgreSQL user")
    postgres_password: SecretStr | None = Field(None, description="PostgreSQL password")
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
    mongodb_tls_ca_file: Path | None = Field(None, description="Certificate authority file for MongoDB")

    breaker_failures: int = Field(5, ge=1, description="Connection failures in a row that cut a store off")
    breaker_window: float = Field(10.0, gt=0, description="Time within which they count as in a row")
    breaker_patience: float = Field(2.0, gt=0, description="Longest silence of a store that is waited for, unprobed")
    breaker_probe_timeout: float = Field(
        2.0, gt=0, description="Longest wait for a probe's answer; silent, it is cut off"
    )
    breaker_probe_interval: float = Field(0.5, gt=0, description="Time between probes of a store that is cut off")

    health_token: Secret | None = Field(
        None, description="Bearer token for the figures of /health/database; without it production shows them to nobody"
    )
    health_timeout: float = Field(1.5, gt=0, le=1.8, description="Longest a health check may take")
    shutdown_timeout: int = Field(10, ge=1, description="Longest a shutdown may take, SHUTDOWN_DELAY included")
    shutdown_delay: int = Field(
        0,
        ge=0,
        description="How long requests are still taken after SIGTERM, for a balancer to see that /readyz is 503",
    )
    gc_threshold: int = Field(
        50_000, ge=0, description="Objects made, less freed, before Python looks for garbage; its own default is 700"
    )

    allowed_hosts: Hosts = Field(
        "localhost",
        description="Names in the Host header that are answered, such as api.example.com,*.example.org; localhost for "
        "this machine's names and every address, * for all",
    )
    cors_origins: Origins = Field(
        "localhost",
        description="Origins whose pages may use the API, with commas between; localhost for any port of it, * for all",
    )
    cors_headers: HeaderNames = Field(
        "",
        description="Headers that these pages may send beside the usual ones, such as x-shop-version,x-shop-*",
    )
    cors_max_age: int = Field(600, ge=0, description="How long browsers keep the answer to a preflight request")
    max_head_size: int = Field(64 * 1024, ge=4096, description="Bytes of a request's line and headers")
    head_timeout: float = Field(10.0, gt=0, description="Longest wait for a request's line and headers")
    max_body_size: int = Field(1024 * 1024, ge=1024, description="Bytes of a request's body")
    body_timeout: float = Field(
        10.0, gt=0, description="Longest wait for a whole request, from its first byte to the end of its body"
    )
    max_connections: int = Field(
        800, ge=1, description="Open connections, a process; beyond them the longest waiting for a request is closed"
    )
    max_connections_per_address: int = Field(500, ge=1, description="Those of one address that isn't a trusted proxy")
    send_timeout: float = Field(60.0, gt=0, description="Longest wait for a client to read an answer")
    max_unsent_size: int = Field(
        64 * 1024 * 1024,
        ge=0,
        description="Bytes of answers that may wait for their clients, a process; those that wait longest are dropped",
    )
    max_batch_size: int = Field(10, ge=0, le=1000, description="Operations of a batch; 0 switches batches off")
    max_response_size: int = Field(
        10 * 1024 * 1024, ge=1024, description="Bytes of an answer before it is compressed, a batch's together"
    )

    max_document_length: int = Field(50_000, ge=1, description="Characters of a GraphQL document")
    max_tokens: int = Field(2000, ge=1, description="Words and signs of a GraphQL document")
    max_depth: int = Field(15, ge=1, description="How deep fields may nest; introspection takes 15")
    max_root_fields: int = Field(20, ge=1, description="Root fields of an operation")
    max_aliases: int = Field(50, ge=0, description="Aliases of an operation, counted wherever fragments are spread")
    max_fields: int = Field(1000, ge=1, description="Fields of an operation, counted likewise")
    max_cost: int = Field(5000, ge=1, description="What an operation may cost: about the objects that it returns")
    max_list_items: int = Field(1000, ge=1, description="Items of a list in variables or arguments")
    max_input_objects: int = Field(1200, ge=1, description="Input objects in the variables")
    max_variable_values: int = Field(10_000, ge=1, description="Values in the variables, objects and lists included")
    report_cost: bool = Field(True, description="Say in `extensions.cost` of each response what it cost")
    execution_timeout: float = Field(30.0, gt=0, description="Longest an operation may take; then it is ended")
    document_cache_size: int = Field(64 * 1024 * 1024, ge=0, description="Bytes that parsed documents take, a process")

    auth_secret: Secret | None = Field(
        None, description="Key that signs access tokens: 32 bytes or more; development makes one in DATA_DIR"
    )
    auth_secret_previous: Secret | None = Field(
        None, description="The key before, which still verifies; unset it an ACCESS_TOKEN_LIFETIME after a change"
    )
    auth_issuer: str = Field("fashion-wallet", min_length=1, description="Issuer of access tokens")
    auth_audience: str = Field("fashion-wallet", min_length=1, description="Audience of access tokens")
    access_token_lifetime: int = Field(900, gt=0, description="How long an access token is good")
    refresh_token_lifetime: int = Field(
        30 * 24 * 3600, gt=0, description="How long a session lasts after it was last refreshed"
    )
    session_max_age: int = Field(
        90 * 24 * 3600, gt=0, description="How long a session lasts at most, however often it is refreshed"
    )
    password_hash_memory: int = Field(65536, ge=32, description="KiB of memory that hashing a password takes")
    password_hash_time: int = Field(3, ge=1, description="Passes over that memory")
    keep_bcrypt_hashes: bool = Field(
        False, description="Leave bcrypt hashes as they are at sign-in, for the original service to check them as well"
    )
    sign_in_limit_account: Rate = Field("10/minute", description="Failed sign-ins to one account, from strangers")
    sign_in_limit_address: Rate = Field("50/minute", description="Sign-ins and sign-ups from one address")
    rate_limit_user: Quota = Field(
        "off", description='Points of cost that an account has, such as "100000/minute"; off for no limit'
    )
    rate_limit_address: Quota = Field(
        "off", description="The same for the address of whoever isn't signed in; behind a proxy set TRUSTED_PROXIES"
    )
    redis_url: RedisUrl | None = Field(
        None,
        description="Redis or Valkey (redis://, rediss://, valkey://) in which instances count together",
    )
    redis_timeout: float = Field(0.1, gt=0, description="Longest wait for it, before counting goes on without it")
    idempotency_key_lifetime: int = Field(
        24 * 3600, gt=0, description="How long the answer to a request with an Idempotency-Key is kept"
    )
    trusted_proxies: Networks = Field(
        "", description="Addresses or networks, with commas between, whose X-Forwarded-For is believed"
    )

    design_revisions_kept: int = Field(100, ge=1, description="Earlier versions of a design that are kept")
    revision_retention: int = Field(0, ge=0, description="Age at which reconcile removes earlier versions; 0: never")
    audit_retention: int = Field(0, ge=0, description="Age at which it removes entries of the audit log; 0: never")
    sweep_interval: int = Field(
        3600, ge=0, description="Time between removals of ended sessions and old idempotency keys; 0 for none"
    )

    trusted_documents: Literal["off", "log", "enforce"] = Field(
        "off",
        description="Documents that aren't registered (`fashion-wallet documents`): run, run and logged, or refused",
    )
    client_documents_size: int = Field(
        8 * 1024 * 1024,
        ge=0,
        description="Bytes of documents kept that clients register by hash (Apollo's APQ), a process; 0 for none",
    )
    introspection: bool = Field(True, description="Answer introspection")
    suggestions: bool = Field(True, description='Suggest names in messages ("Did you mean ...?")')
    metrics: bool = Field(False, description="Answer /metrics for Prometheus; keep it from the public")
    explorer: bool = Field(True, description="Serve GraphiQL at /graphql")
    demo_pictures: bool = Field(True, description="Draw pictures of catalog items and designs at /pictures")
    demo_url: WebAddress | None = Field(
        None, description="Where front ends reach this server, for the pictures of the demo data; else http://HOST:PORT"
    )
    demo_password: SecretStr = Field(SecretStr("fashion-wallet"), description="Password of the demo accounts")

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_environment(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("environment") == "production":
            return {**PRODUCTION_DEFAULTS, **given}
        return given

    @model_validator(mode="after")
    def _secrets_in_production(self) -> Settings:
        if self.environment == "production":
            if self.database_url is None and (self.postgres_host is None or self.postgres_password is None):
                raise ValueError("DATABASE_URL (or POSTGRES_HOST and POSTGRES_PASSWORD) must be set in production")
            if self.mongodb_uri is None:
                raise ValueError("MONGODB_URI must be set in production")
            if self.auth_secret is None:
                raise ValueError("AUTH_SECRET must be set in production")
            urls = [self.postgres_url, self.for_migrations.postgres_url]
            if not self.postgres_ssl_unverified and any(
                url and goes_unverified(url, self.postgres_ssl) for url in urls
            ):
                raise ValueError(
                    "POSTGRES_SSL must be verify-full (or verify-ca) for a PostgreSQL on another host, "
                    "or POSTGRES_SSL_UNVERIFIED true"
                )
        return self

    @property
    def allowed_host_names(self) -> tuple[str, ...]:
        """The names of ALLOWED_HOSTS, in lower case."""
        return split(self.allowed_hosts.lower())

    @property
    def allowed_origins(self) -> tuple[str, ...]:
        """The origins of CORS_ORIGINS."""
        return split(self.cors_origins)

    @property
    def allowed_headers(self) -> tuple[str, ...]:
        """The names and patterns of CORS_HEADERS, in lower case."""
        return split(self.cors_headers.lower())

    @property
    def drain_delay(self) -> int:
        """SHUTDOWN_DELAY, cut so that a second of SHUTDOWN_TIMEOUT is left for what still runs then."""
        return min(self.shutdown_delay, self.shutdown_timeout - 1)

    @property
    def is_production(self) -> bool:
        return self.environment == "production"

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
    def for_migrations(self) -> Settings:
        """These settings as migrations have them: on the server of MIGRATION_DATABASE_URL, where there is one."""
        url = self.migration_database_url
        return self if url is None else self.model_copy(update={"database_url": url})

    @property
    def mongodb_url(self) -> str | None:
        """`mongodb://...` of the configured server, or None where none is configured."""
        return self.mongodb_uri.get_secret_value() if self.mongodb_uri is not None else None


def load_settings(**overrides: Any) -> Settings:
    """Settings from the environment and `.env`, with the command line's overrides (None: not given).

    Raises ConfigurationError with one line a problem, each naming its variable and never its value.
    """
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        problems = []
        for problem in error.errors(include_input=False, include_url=False):
            name = "_".join(str(part) for part in problem["loc"]).upper()
            text = problem["msg"].removeprefix("Value error, ")
            problems.append(f"{name}: {text}" if name else text)
        raise ConfigurationError("\n".join(problems)) from None
