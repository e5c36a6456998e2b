"""The command lines that files other than Python mention."""

from __future__ import annotations

from collections.abc import Sequence

from typer.testing import CliRunner

from api.commands.main import app


def usage(arguments: Sequence[str]) -> str:
    """What `fashion-wallet <arguments> --help` prints; fails for a command or option that does not exist."""
    result = CliRunner().invoke(app, [*arguments, "--help"])
    assert result.exit_code == 0, (arguments, result.output)
    return result.output
