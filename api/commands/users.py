"""`fashion-wallet user ...`. What a command needs is imported when it runs, as in api/commands/main.py."""

from __future__ import annotations

import sys
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.commands.console import reported

if TYPE_CHECKING:
    from api.config.settings import Settings

app = typer.Typer(
    name="user",
    help="Accounts, from the command line: the first admin, for instance.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # it prints local variables, and passwords are among them
)


class Role(Enum):
    """What the account may do."""

    USER = "user"
    PREMIUM = "premium"
    BRAND = "brand"
    ADMIN = "admin"


@app.callback()
def main() -> None:
    pass


@app.command()
def create(
    email: Annotated[str, typer.Option(help="Address to sign in with.")],
    role: Annotated[Role, typer.Option(help="What the account may do.")] = Role.USER,
    first_name: Annotated[str | None, typer.Option(help="Given name.")] = None,
    last_name: Annotated[str | None, typer.Option(help="Family name.")] = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input; else it is asked for.")
    ] = False,
) -> None:
    """Make an account. Changes nothing where there is one with this email already, and fails."""
    import asyncio

    with reported():
        from api.commands.development import configured_stores
        from api.config.settings import load_settings

        settings = load_settings()
        if password_stdin:
            password = sys.stdin.read().removesuffix("\n").removesuffix("\r")
        else:
            password = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        given = {"email": email, "password": password, "first_name": first_name, "last_name": last_name}
        with configured_stores(settings) as complete:
            asyncio.run(_create(complete, given, role.value))
    typer.echo(f"There is an account {email} now, with the role {role.value}.")


async def _create(settings: Settings, given: dict[str, Any], role: str) -> None:
    """Make the account; nobody is its author. Raises BadUserInput with everything that is wrong with it."""
    from sqlalchemy.exc import IntegrityError
    from sqlalchemy.ext.asyncio import AsyncSession

    from api.accounts.passwords import Passwords
    from api.errors import BadUserInput
    from api.stores.postgres.engine import postgres_engine
    from api.stores.postgres.schema_revisions import migrated
    from api.users import store
    from api.users.validation import NewAccount
    from api.writing.inputs import validated
    from api.writing.refusals import Refusal
    from models import User

    try:
        account = validated(NewAccount, given)
    except Refusal as refusal:
        problems = (f"{'.'.join(error.path or [])} {error.message}" for error in refusal.errors)
        raise BadUserInput("; ".join(problems)) from None
    values = account.model_dump(exclude={"password"}) | {"role": role}
    engine = postgres_engine(settings, migrated)
    try:
        values["password_hash"] = await Passwords(settings).hash(account.password)
        async with AsyncSession(engine) as session, session.begin():
            session.add(User(**values))
    except IntegrityError as error:
        if not store.is_taken(error):
            raise
        raise BadUserInput(f"There is an account with the email {account.email} already.") from None
    finally:
        await engine.dispose()
