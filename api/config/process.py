"""Settings of the process: where it runs, listens and logs."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings

Environment = Literal["development", "production"]


class ProcessSettings(BaseSettings):
    """Where a process runs, listens and logs."""

    environment: Environment = Field("development", description="development or production")
    host: str = Field("127.0.0.1", description="Address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one")
    workers: int = Field(1, ge=1, le=64, description="Processes that serve")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged")
    log_format: Literal["console", "json"] = Field("console", description="console or json, a line each")
    slow_statement: float = Field(
        0.2, ge=0, description="Time from which on a statement or MongoDB command is logged; 0 for none"
    )
    slow_statement_plans: bool = Field(
        False, description="Ask PostgreSQL (16 or newer) how it reads for a slow statement, and log the plan's shape"
    )
    security_log_addresses: Literal["plain", "hashed"] = Field(
        "plain", description="Addresses in the log lines of security events: plain, or a keyed hash of each"
    )
    data_dir: Path = Field(Path(".data"), description="Folder of the embedded servers and the explorer's files")
    embedded_postgres_bin: Path | None = Field(
        None, description="Folder of the PostgreSQL programs that `dev` and the tests start, else the package's"
    )
