"""`fashion-wallet explorer`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from api.config.settings import ConfigurationError, load_settings
from api.http.explorer.assets import ExplorerError
from api.http.explorer.npm import install

app = typer.Typer(no_args_is_help=True)


@app.callback()
def explorer() -> None:
    """GraphiQL, served at /graphql."""


@app.command("install")
def install_command(
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder to install into, in a folder named explorer; else DATA_DIR")
    ] = None,
) -> None:
    """Bring GraphiQL's files with npm, so that it works without internet."""
    try:
        # An image is built without the settings of the servers it will talk to: they are not asked for.
        directory = install(load_settings().data_dir if data_dir is None else data_dir)
    except (ConfigurationError, ExplorerError) as error:
        typer.echo(f"The explorer was not installed. {error}", err=True)
        raise typer.Exit(1) from None
    typer.echo(f"The explorer is installed in {directory}.")
