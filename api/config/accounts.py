"""Settings of accounts: tokens, sessions, passwords, rate limits, idempotency keys."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings

from api.config.setting_types import Networks, Quota, Rate, RedisUrl, Secret


class AccountSettings(BaseSettings):
    """How clients sign in, and how often they may call."""

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
