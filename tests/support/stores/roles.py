"""Roles of PostgreSQL that own nothing and have the rights that `migrate grants` prints."""

from __future__ import annotations

import contextlib
import re
import uuid
from collections.abc import Iterator

from pydantic import SecretStr
from typer.testing import CliRunner

from api.commands.main import app
from api.config.settings import Settings
from api.stores.postgres.row_level_security import ROLE
from tests.support.stores.databases import sql


def printed(role: str) -> str:
    """What the command prints."""
    result = CliRunner().invoke(app, ["migrate", "grants", role])
    assert result.exit_code == 0, result.output
    return result.stdout


def of_role(settings: Settings, role: str) -> Settings:
    """The settings of the same database, connected as the role."""
    assert settings.postgres_url is not None
    url = re.sub(r"//[^@]*@", f"//{role}@", settings.postgres_url)
    return settings.model_copy(update={"database_url": SecretStr(url)})


@contextlib.contextmanager
def granted_role(settings: Settings) -> Iterator[str]:
    """A role with what is printed for it, which may take on the one of row-level security too."""
    name = f"api_{uuid.uuid4().hex}"
    sql(settings, f"CREATE ROLE {name} LOGIN", printed(name), f"GRANT {ROLE} TO {name}")
    yield name
    sql(settings, f"DROP OWNED BY {name}", f"DROP ROLE {name}")
