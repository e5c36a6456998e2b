"""Settings: read once at the edge (`Settings()`), then passed in. Nothing reads the environment at import."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import SettingsConfigDict

from api.config.accounts import AccountSettings
from api.config.http import HttpSettings
from api.config.limits import LimitSettings
from api.config.postgres_url import goes_unverified
from api.config.process import ProcessSettings
from api.config.setting_types import WebAddress
from api.config.stores import StoreSettings

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
    "explain": "admins",
    "shutdown_delay": 2,
}
"""What differs in production; everything else has one default."""


class ConfigurationError(Exception):
    """The settings don't hold together; the message names the variable."""


# pydantic takes the fields of the last base first: so they are in the order of `.env.example`
class Settings(AccountSettings, LimitSettings, HttpSettings, StoreSettings, ProcessSettings):
    """Every setting, from environment variables or `.env`. Times are in seconds unless said otherwise."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", env_ignore_empty=True, frozen=True)

    design_revisions_kept: int = Field(100, ge=1, description="Earlier versions of a design that are kept")
    revision_retention: int = Field(0, ge=0, description="Age at which reconcile removes earlier versions; 0: never")
    audit_retention: int = Field(0, ge=0, description="Age at which it removes entries of the audit log; 0: never")
    sweep_interval: int = Field(
        3600, ge=0, description="Time between removals of ended sessions and old idempotency keys; 0 for none"
    )

    search_indexing: bool = Field(
        True, description="Follow designs in MongoDB, so that they are found; one process does it at a time"
    )

    search_language: str = Field(
        "english",
        min_length=1,
        max_length=127,
        description="Text search configuration of PostgreSQL that words are stemmed by (german, simple ...); "
        "to change it, run `fashion-wallet search rebuild`",
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
    explain: Literal["off", "admins", "everyone"] = Field(
        "everyone",
        description="Who may send X-Explain: the answer then tells what the request has asked of the stores",
    )
    metrics: bool = Field(False, description="Answer /metrics for Prometheus; keep it from the public")
    metrics_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="Port for /metrics alone, which is then on, and not on PORT; 0: a free one",
    )
    metrics_operations: int = Field(
        100, ge=0, description="Names of operations that metrics tell apart; those of registered documents come on top"
    )
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
            has_password = self.postgres_password is not None or self.reads_password
            if self.database_url is None and (self.postgres_host is None or not has_password):
                raise ValueError("DATABASE_URL (or POSTGRES_HOST and POSTGRES_PASSWORD) must be set in production")
            if self.mongodb_uri is None:
                raise ValueError("MONGODB_URI must be set in production")
            if self.auth_secret is None:
                raise ValueError("AUTH_SECRET must be set in production")
            urls = [self.postgres_url, self.for_migrations.postgres_url, *self.replica_urls]
            if not self.postgres_ssl_unverified and any(
                url and goes_unverified(url, self.postgres_ssl) for url in urls
            ):
                raise ValueError(
                    "POSTGRES_SSL must be verify-full (or verify-ca) for a PostgreSQL on another host, "
                    "or POSTGRES_SSL_UNVERIFIED true"
                )
        return self

    @property
    def measures(self) -> bool:
        """Whether metrics are counted: they are shown somewhere."""
        return self.metrics or self.metrics_port is not None

    @property
    def is_production(self) -> bool:
        return self.environment == "production"


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
