"""The command lines that files other than Python mention."""

from __future__ import annotations

from collections.abc import Sequence

from typer.core import TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

from api.commands.main import app


def usage(arguments: Sequence[str]) -> str:
    """What `fashion-wallet <arguments> --help` prints; fails for a command, option or argument that does not exist."""
    result = CliRunner().invoke(app, [*arguments, "--help"])
    assert result.exit_code == 0, (arguments, result.output)
    assert unexpected(arguments) == [], arguments
    return result.output


def unexpected(arguments: Sequence[str]) -> list[str]:
    """Arguments that the command has no parameter for, which `--help` lets pass."""
    command = get_command(app)
    context = command.context_class(command)
    left = list(arguments)
    while isinstance(command, TyperGroup) and left and not left[0].startswith("-"):
        found = command.get_command(context, left.pop(0))
        assert found is not None, arguments
        command, context = found, found.context_class(found, parent=context)
    return command.make_parser(context).parse_args(left)[1]
