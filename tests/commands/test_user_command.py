"""`fashion-wallet user create`."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from typer.testing import CliRunner

from api.commands.main import app as command
from api.config.settings import Settings
from tests.support.factories.users import users
from tests.support.mutations.accounts import PASSWORD, sign_in
from tests.support.processes import run
from tests.support.servers import WAIT, environment

pytestmark = pytest.mark.anyio


def create(
    settings: Settings, tmp_path: Path, *arguments: str, given: str = f"{PASSWORD}\n", **variables: str
) -> tuple[int, str, str]:
    """Exit code, output and errors of the command, which reads `given`."""
    variables = environment(settings, **variables)
    done = run("user", "create", *arguments, folder=tmp_path, variables=variables, given=given, timeout=WAIT)
    return done.returncode, done.stdout, done.stderr


async def test_the_first_admin_of_production(
    settings: Settings, app: Starlette, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    arguments = ("--email", "ada@example.com", "--role", "admin", "--first-name", "Ada", "--password-stdin")

    done = create(settings, tmp_path, *arguments, ENVIRONMENT="production")

    assert done == (0, "There is an account ada@example.com now, with the role admin.\n", "")
    answer = await sign_in(client)
    assert answer["user"]["role"] == "ADMIN"
    (admin,) = await users(app.state.stores).find_all()
    assert (admin.first_name, admin.last_name, admin.is_active, admin.created_by) == ("Ada", None, True, None)
    assert PASSWORD not in str(done)

    # again it changes nothing, and says so
    again = create(settings, tmp_path, "--email", "ADA@example.com", "--password-stdin", given="another password")
    assert again == (1, "", "Error: There is an account with the email ADA@example.com already.\n")
    assert (await sign_in(client))["user"]["role"] == "ADMIN"


async def test_everything_that_is_wrong_is_said(settings: Settings, app: Starlette, tmp_path: Path) -> None:
    done = create(settings, tmp_path, "--email", "ada", "--password-stdin", given="short")

    assert done == (1, "", "Error: email must be an email address; password must have 8 to 256 characters\n")
    assert await users(app.state.stores).count() == 0


def test_the_password_is_asked_for_twice(
    settings: Settings, clean_stores: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)

    done = CliRunner().invoke(command, ["user", "create", "--email", "ada@example.com"], input=f"{PASSWORD}\n" * 2)
    assert done.exit_code == 0
    assert done.stdout.splitlines()[-1] == "There is an account ada@example.com now, with the role user."
    assert PASSWORD not in done.output

    done = CliRunner().invoke(command, ["user", "create", "--email", "bob@example.com"], input=f"{PASSWORD}\nother\n")
    assert done.exit_code == 1
    assert PASSWORD not in done.output


def test_a_role_that_is_none_is_refused(settings: Settings, tmp_path: Path) -> None:
    code, _, errors = create(settings, tmp_path, "--email", "ada@example.com", "--role", "owner", "--password-stdin")

    assert code == 2
    assert "owner" in errors
    assert "admin" in errors
