"""What the tests of both stores together share: transactions of PostgreSQL that are open while MongoDB is asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event

from api.log import CommandCounter
from api.stores.stores import Stores


@contextmanager
def open_at_commands(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many transactions are open at each command that MongoDB gets; reads in autocommit are none."""
    engine, begun, seen = stores.engine.sync_engine, set[int](), list[int]()
    counted = CommandCounter.count

    def begin(connection: Any) -> None:
        if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
            begun.add(id(connection))

    def end(connection: Any) -> None:
        begun.discard(id(connection))

    def count(command: Any) -> None:
        seen.append(len(begun))
        counted(command)

    listeners = {"begin": begin, "commit": end, "rollback": end}
    for name, listener in listeners.items():
        event.listen(engine, name, listener)
    with monkeypatch.context() as patched:
        patched.setattr(CommandCounter, "count", staticmethod(count))
        try:
            yield seen
        finally:
            for name, listener in listeners.items():
                event.remove(engine, name, listener)
