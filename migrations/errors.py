"""What goes wrong while migrating, told without passwords: in one line, or in a paragraph for each broken rule."""

from __future__ import annotations

from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import uvloop
from alembic.util import CommandError

from api.config.settings import ConfigurationError
from api.stores.startup_errors import ServerError, describe

LOCK_NOT_AVAILABLE = "55P03"

Result = TypeVar("Result")


class MigrationError(ServerError):
    """A migration can't be done; the message is one line for whoever runs it."""


class MigrationRunning(MigrationError):
    """Another process is migrating the same database."""


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A rule, in words, that a table of an existing database breaks.

    `rows` counts the rows that break it, `ids` are some of them. `show` is SQL that finds them, `mend` SQL that changes
    them, where nothing is lost by that.
    """

    table: str
    rule: str
    rows: int = 0
    ids: tuple[str, ...] = ()
    show: str = ""
    mend: str = ""
    advice: str = ""

    def __str__(self) -> str:
        lines = [f"{self.table}: {self.rule}"]
        if self.rows:
            more = f" and {self.rows - len(self.ids)} more" if self.rows > len(self.ids) else ""
            lines.append(f"broken {'once' if self.rows == 1 else f'{self.rows} times'}: {', '.join(self.ids)}{more}")
        lines += [f"to see them: {self.show};"] if self.show else []
        lines += [f"to mend them: {self.mend};"] if self.mend else []
        lines += [f"{self.advice}."] if self.advice else []
        return "\n   ".join(lines)


class AdoptionError(MigrationError):
    """What an existing database holds contradicts rules of this one."""

    @classmethod
    def of(cls, contradictions: Sequence[Contradiction]) -> AdoptionError:
        """One error for all of them, a paragraph each."""
        number = len(contradictions)
        head = f"{number} rule{'s are' if number > 1 else ' is'} broken in this database; nothing was changed"
        return cls("\n".join([head, *(f"{place}. {each}" for place, each in enumerate(contradictions, 1))]))


def carry_out(work: Coroutine[Any, Any, Result]) -> Result:
    """Run this in an event loop of its own. Raises MigrationError for what `explain` has a line for."""
    try:
        return uvloop.run(work)  # a fifth cheaper than asyncio's own, with hundreds of statements
    except (MigrationError, ConfigurationError):
        raise
    except Exception as error:
        line = explain(error)
        if line is None:
            raise
        raise MigrationError(line) from error


def explain(error: Exception) -> str | None:
    """One line for an error of a server or of Alembic; None for what is a bug."""
    if isinstance(error, CommandError):
        return str(error).partition("\n")[0]
    if any(getattr(cause, "sqlstate", None) == LOCK_NOT_AVAILABLE for cause in _causes(error)):
        return (
            "PostgreSQL: a table is in use and was not released in time; nothing was changed. "
            "Try again, or wait longer with --lock-timeout"
        )
    text = describe(error)
    return None if text is None else text.partition("\n")[0]


def _causes(error: BaseException) -> Iterator[BaseException]:
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__
