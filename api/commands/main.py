"""The command `fashion-wallet`. What a command needs is imported when it runs: `--help` stays quick."""

from __future__ import annotations

import contextlib
import gc
import os
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from typer.core import TyperGroup

from api.commands.console import reported

STARTED = time.monotonic()
gc.set_threshold(10_000, 20, 20)  # what is imported stays: looking for garbage among it was an eighth of starting

if TYPE_CHECKING:
    from typer._click import Command, Context

    from api.config.settings import Settings

LAZY: Final = {
    "migrate": ("api.commands.migrate", "app"),
    "demo": ("api.commands.demo", "demo"),
    "user": ("api.commands.users", "app"),
    "documents": ("api.commands.documents", "app"),
    "search": ("api.commands.search", "app"),
    "explorer": ("api.commands.explorer", "app"),
    "backup": ("api.commands.backup", "backup"),
    "restore": ("api.commands.backup", "restore"),
}
"""Commands of other modules: a typer application, or the function of a single command."""


class Commands(TyperGroup):
    """The commands below and the lazy ones, whose modules are imported when they are named."""

    def list_commands(self, ctx: Context) -> list[str]:
        return list(dict.fromkeys([*super().list_commands(ctx), *LAZY]))

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:
        if cmd_name in LAZY and cmd_name not in self.commands:
            module, attribute = LAZY[cmd_name]
            found = getattr(import_module(module), attribute)
            if isinstance(found, typer.Typer):
                command: Command = typer.main.get_group(found)
            else:
                single = typer.Typer(add_completion=False)
                single.command(cmd_name)(found)
                command = typer.main.get_command(single)
            command.name = cmd_name
            self.commands[cmd_name] = command
        return super().get_command(ctx, cmd_name)


app = typer.Typer(
    cls=Commands,
    name="fashion-wallet",
    help="One GraphQL API over PostgreSQL (users, avatars, catalog) and MongoDB (designs).",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # it prints local variables, and passwords are among them
)

Host = Annotated[
    str | None, typer.Option(help="Address to listen on; 0.0.0.0 for all of this machine's. HOST, else 127.0.0.1.")
]
Port = Annotated[
    int | None, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one. PORT, else 8000.")
]
WorkerCount = Annotated[int | None, typer.Option(min=1, max=64, help="Processes that serve. WORKERS, else 1.")]


def _show_version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        typer.echo(f"fashion-wallet {version('fashion-wallet')}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def serve(
    host: Host = None,
    port: Port = None,
    workers: WorkerCount = None,
    require_stores: Annotated[
        bool, typer.Option("--require-stores", help="End at once where a store does not answer or is not migrated.")
    ] = False,
) -> None:
    """Serve on the configured stores, unready until both answer. ENVIRONMENT is production unless it says otherwise."""
    import asyncio

    from api.log import configure_logging, logger
    from api.server import processes as server
    from api.server import signals

    with reported(), signals.cancelled_by_signals(0):
        settings = _settings(host=host, port=port, workers=workers)
        configure_logging(settings)
        with contextlib.closing(server.listen(settings)) as listener:
            logger.info("starting", pid=os.getpid(), address=server.url_of(listener), workers=settings.workers)
            if require_stores:
                asyncio.run(server.verify(settings))
            code = server.run(settings, listener, ready=lambda url: _ready(url, settings))
    raise typer.Exit(code)


def _ready(url: str, settings: Settings) -> None:
    from api.log import logger

    logger.info("ready", pid=os.getpid(), address=url, seconds=round(time.monotonic() - STARTED, 1))
    if settings.log_format == "console":  # a person may be watching
        typer.echo(f"Fashion Wallet is ready at {url}")


@app.command()
def dev(
    host: Host = None,
    port: Port = None,
    workers: WorkerCount = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder of the embedded stores and the explorer's files. DATA_DIR, else .data.")
    ] = None,
    reload: Annotated[bool, typer.Option("--reload", help="Start again when a source file changes.")] = False,
    demo: Annotated[bool, typer.Option(help="Load the demo data where the stores are empty.")] = True,
) -> None:
    """Serve with everything that is needed: stores where none is configured, tables, demo data, explorer."""
    from api.commands import development
    from api.log import configure_logging
    from api.server import processes as server
    from api.server import signals

    with reported(), signals.cancelled_by_signals(0):
        settings = _settings(production=False, host=host, port=port, workers=workers, data_dir=data_dir)
        development.require_development(settings)
        configure_logging(settings)
        with contextlib.closing(server.listen(settings)) as listener:
            development.install_explorer(settings, _say)
            embedded = settings.postgres_url is None and settings.mongodb_url is None
            with development.development_stores(settings, join=False) as complete:
                development.prepare(complete, _say, url=server.url_of(listener), embedded=embedded, demo=demo)
                accounts = development.demo_accounts(complete)
                code = server.run(complete, listener, ready=lambda url: _welcome(url, accounts), reload=reload)
    raise typer.Exit(code)


def _welcome(url: str, accounts: str | None) -> None:
    from api.commands.development import answer_first_query
    from api.stores.startup_errors import ServerError

    try:
        answer_first_query(url)
    except ServerError as error:
        _say(str(error))
    else:
        _say(f"Fashion Wallet is ready in {time.monotonic() - STARTED:.1f} s, first query answered")
    if accounts is not None:
        _say(accounts)
    _say(f"GraphiQL and the API are at {url}/graphql; press Ctrl-C to stop")


@app.command()
def schema(
    output: Annotated[Path | None, typer.Option(help="File to write, else the text is printed.")] = None,
) -> None:
    """The GraphQL schema in its definition language."""
    from api.schema import print_sdl

    _write(print_sdl(), output)


@app.command()
def config(
    output: Annotated[Path | None, typer.Option(help="File to write, else the text is printed.")] = None,
) -> None:
    """Every setting with its meaning and default, as a `.env` file."""
    from api.commands.env_example import env_example

    _write(env_example(), output)


@app.command()
def errors(
    output: Annotated[Path | None, typer.Option(help="File to write, else the text is printed.")] = None,
) -> None:
    """Every code that an error can have, with its meaning, as a page."""
    from api.commands.errors_page import errors_page

    _write(errors_page(), output)


@app.command()
def reconcile(
    repair: Annotated[bool, typer.Option("--repair", help="Mend what can be mended without loss.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the report for machines.")] = False,
    batch_size: Annotated[int, typer.Option(min=1, max=10_000, help="Rows or documents looked at together.")] = 1000,
) -> None:
    """Find where the two stores have come apart. Exits with 1 where problems remain."""
    with reported():
        from api.commands.reconcile import run

        code = run(repair=repair, json=json, batch=batch_size)
    raise typer.Exit(code)


def _settings(*, production: bool = True, **options: Any) -> Settings:
    """Settings with the command line's options, which go into the environment of the processes that serve."""
    from api.config.settings import load_settings

    os.environ.update({name.upper(): str(value) for name, value in options.items() if value is not None})
    # it may also be set in a `.env` file: only the settings, which have read everything, know
    if production and "environment" not in load_settings().model_fields_set:
        os.environ["ENVIRONMENT"] = "production"
    return load_settings()


def _write(text: str, output: Path | None) -> None:
    if output is None:
        typer.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")


def _say(text: str) -> None:
    typer.echo(text)
