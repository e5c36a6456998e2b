"""Settings of HTTP: health checks, leaving, hosts and origins, and what a client may send and receive."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings

from api.config.setting_types import HeaderNames, Hosts, Origins, Secret, split


class HttpSettings(BaseSettings):
    """What the server accepts and sends over HTTP, and how long it waits."""

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
    max_queue_time: float = Field(
        0.25,
        ge=0,
        description="Wait for the event loop, or for a store's connection, from which on requests are shed with 503; "
        "0 for never",
    )
    send_timeout: float = Field(60.0, gt=0, description="Longest wait for a client to read an answer")
    max_unsent_size: int = Field(
        64 * 1024 * 1024,
        ge=0,
        description="Bytes of answers that may wait for their clients, a process; those that wait longest are dropped",
    )
    max_sockets: int = Field(500, ge=0, description="Open WebSockets, a process; 0 for none")
    max_socket_operations: int = Field(
        100, ge=1, description="Operations under way on a WebSocket, beside its open subscriptions"
    )
    max_socket_queue: int = Field(
        1024 * 1024, ge=0, description="Bytes that wait for the client of a WebSocket before it is answered more"
    )
    socket_init_timeout: float = Field(3.0, gt=0, description="Longest wait for the first message of a WebSocket")
    max_subscriptions: int = Field(2000, ge=0, description="Open subscriptions, a process")
    max_subscriptions_per_account: int = Field(
        100, ge=0, description="Those of one account, a process, or of one address where nobody is signed in"
    )
    max_subscriptions_per_socket: int = Field(100, ge=0, description="Those of one WebSocket")
    max_events_per_second: int = Field(
        1000, ge=0, description="Events of a subscription within a second, beyond which they wait; 0 for no limit"
    )
    max_events_behind: int = Field(
        10_000, ge=1, description="Changes that a subscription may be behind, before it is refused or ended"
    )
    max_batch_size: int = Field(10, ge=0, le=1000, description="Operations of a batch; 0 switches batches off")
    max_response_size: int = Field(
        10 * 1024 * 1024, ge=1024, description="Bytes of an answer before it is compressed, a batch's together"
    )

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
