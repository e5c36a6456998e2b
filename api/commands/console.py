"""How commands end: what a user can put right is said in one line."""

from __future__ import annotations

import contextlib
import select
import sys
from collections.abc import Iterator

import typer


@contextlib.contextmanager
def reported() -> Iterator[None]:
    """Print what a user can put right as one line and leave with 2 (configuration) or 1; bugs keep their traceback."""
    from api.config.settings import ConfigurationError
    from api.stores.startup_errors import describe

    try:
        yield
    except Exception as error:
        if isinstance(error, BrokenPipeError) and _nobody_reads():
            raise  # typer ends the process quietly
        if (text := describe(error)) is None:
            raise
        typer.secho(f"Error: {text}", err=True, fg=typer.colors.RED)
        raise typer.Exit(2 if isinstance(error, ConfigurationError) else 1) from None


def _nobody_reads() -> bool:
    """Whether the program that reads our output has ended, as `head` does. If not, the broken pipe led to a server."""
    output = select.poll()
    output.register(sys.stdout.fileno(), select.POLLOUT)
    return any(event & select.POLLERR for _, event in output.poll(0))
